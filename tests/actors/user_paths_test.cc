#include "actors/user_paths.h"

#include <gmock/gmock.h>
#include <pwd.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

namespace baton {
namespace {

// Restores the variable at the end.
class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) {
    if (const char* old = std::getenv(name)) old_ = old;
    value == nullptr ? ::unsetenv(name) : ::setenv(name, value, 1);
  }
  ~Variable() { old_ ? ::setenv(name_, old_->c_str(), 1) : ::unsetenv(name_); }

 private:
  const char* name_;
  std::optional<std::string> old_;
};

TEST(UserPaths, a_tilde_is_the_home_directory_at_the_beginning_only) {
  const Variable home{"HOME", "/nowhere/ada"};
  EXPECT_EQ(expand_home("~/models/a.gguf"), "/nowhere/ada/models/a.gguf");
  EXPECT_EQ(expand_home("~"), "/nowhere/ada");
  for (const std::string path : {"/models/~/a.gguf", "models/a~", "~ada/a.gguf", ""}) EXPECT_EQ(expand_home(path), path);
}

TEST(UserPaths, without_a_home_variable_the_user_database_says_it) {
  const Variable home{"HOME", nullptr}, cache{"XDG_CACHE_HOME", nullptr};
  const std::string directory = ::getpwuid(::getuid())->pw_dir;
  EXPECT_EQ(home_directory(), directory);
  EXPECT_EQ(default_model_path(), directory + "/.cache/baton/SmolLM2-135M-Instruct.Q4_1.gguf");
}

TEST(UserPaths, every_path_of_a_cluster_file_may_begin_with_a_tilde) {
  const Variable home{"HOME", "/nowhere/ada"};
  const std::string file = testing::TempDir() + "/tilde.yaml";
  std::ofstream{file} << R"(
model: ~/models/a.gguf
nodes:
  - {name: gateway, role: gateway, control: 127.0.0.1:9000}
  - {name: scheduler, role: scheduler, control: 127.0.0.1:9001}
  - {name: both, role: mixed, control: 127.0.0.1:9002, model: ~/models/b.gguf}
security: {ca: ~/keys/ca.pem, certificate: "~/keys/{name}.pem", key: "~/keys/{name}.key"}
)";
  const auto cluster = load_cluster_file(file);
  ASSERT_TRUE(cluster.ok()) << cluster.error().message;
  EXPECT_EQ(cluster->model, "/nowhere/ada/models/a.gguf");
  EXPECT_EQ(cluster->find("both")->model, "/nowhere/ada/models/b.gguf");
  EXPECT_EQ(cluster->security.ca, "/nowhere/ada/keys/ca.pem");
  EXPECT_EQ(cluster->security.certificate, "/nowhere/ada/keys/{name}.pem");
  EXPECT_EQ(cluster->security.key, "/nowhere/ada/keys/{name}.key");
}

}  // namespace
}  // namespace baton
