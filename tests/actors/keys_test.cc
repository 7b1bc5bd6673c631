#include "actors/keys.h"

#include <gmock/gmock.h>
#include <openssl/ssl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <memory>

#include "tests/actors/status_words.h"

namespace baton {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class Keys : public testing::Test {
 protected:
  Keys() {
    std::string path = testing::TempDir() + "/keys-XXXXXX";
    dir_ = ::mkdtemp(path.data());
  }
  ~Keys() override { fs::remove_all(dir_); }

  std::string in(const std::string& name) const { return dir_ + "/" + name; }
  static void write(const std::string& path, const std::string& text) { std::ofstream(path) << text; }
  static std::string read(const std::string& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  static mode_t mode(const std::string& path) {
    struct stat info {};
    ::stat(path.c_str(), &info);
    return info.st_mode & 0777;
  }
  KeyFiles issued(const std::string& authority, const std::string& name, int days = 1) {
    if (!fs::exists(in(authority))) {
      EXPECT_EQ(words(make_authority(in(authority))), "");
    }
    auto files = issue_key(in(authority), name, days);
    EXPECT_TRUE(files.ok());
    return *files;
  }

  std::string dir_;
};

TEST_F(Keys, that_were_issued_are_accepted) {
  EXPECT_EQ(words(check_keys(issued("a", "node-1"))), "");
}

TEST_F(Keys, private_ones_are_readable_by_their_owner_only) {
  issued("a", "n");
  EXPECT_EQ(mode(in("a")), 0700u);
  EXPECT_EQ(mode(in("a/ca.key")), 0600u);
  EXPECT_EQ(mode(in("a/n.key")), 0600u);
}

TEST_F(Keys, an_authority_and_a_key_are_never_overwritten) {
  issued("a", "n");
  const std::string authority = read(in("a/ca.key")), key = read(in("a/n.key"));
  EXPECT_THAT(make_authority(in("a")).error().message, HasSubstr("exists already"));
  EXPECT_THAT(issue_key(in("a"), "n").error().message, HasSubstr("exists already"));
  EXPECT_EQ(read(in("a/ca.key")), authority);
  EXPECT_EQ(read(in("a/n.key")), key);
}

TEST_F(Keys, what_caf_would_throw_on_is_refused_with_the_file_named) {
  const KeyFiles good = issued("a", "good"), other = issued("a", "other"), foreign = issued("b", "foreign");
  const KeyFiles ended = issued("a", "ended", -1);
  write(in("garbage"), "no PEM at all");
  struct Case {
    KeyFiles files;
    std::string says;
  };
  const Case cases[] = {
      {{in("nowhere"), good.key, good.authority}, "cannot read " + in("nowhere")},
      {{good.certificate, in("nowhere"), good.authority}, "cannot read " + in("nowhere")},
      {{good.certificate, good.key, in("nowhere")}, "cannot read " + in("nowhere")},
      {{in("garbage"), good.key, good.authority}, in("garbage") + " holds no certificate"},
      {{good.certificate, in("garbage"), good.authority}, in("garbage") + " holds no private key"},
      {{good.certificate, good.key, in("garbage")}, in("garbage") + " holds no certificate"},
      {{good.certificate, other.key, good.authority}, other.key + " is not the key of " + good.certificate},
      {{foreign.certificate, foreign.key, good.authority}, foreign.certificate + " is refused by the authority " + good.authority},
      {ended, "expired"},
  };
  for (const Case& c : cases) {
    const Status status = check_keys(c.files);
    ASSERT_FALSE(status.ok()) << c.says;
    EXPECT_THAT(status.error().message, HasSubstr(c.says));
  }
}

TEST_F(Keys, a_name_cannot_leave_the_folder_or_take_the_authoritys) {
  issued("a", "n");
  for (const std::string name : {"", "ca", "../x", "a/b", ".hidden", "a b", "x\n"}) {
    const auto refused = issue_key(in("a"), name);
    ASSERT_FALSE(refused.ok()) << name;
    EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument) << name;
  }
}

TEST_F(Keys, without_an_authority_say_how_to_make_one) {
  EXPECT_THAT(issue_key(in("none"), "n").error().message, HasSubstr("baton keys init"));
}

TEST_F(Keys, kept_in_memory_serve_every_connection_without_a_file_or_a_descriptor) {
  const auto kept = keep_in_memory(issued("a", "n"));
  ASSERT_TRUE(kept.ok());
  fs::remove_all(in("a"));
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none{0, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context{SSL_CTX_new(TLS_method()), &SSL_CTX_free};
  EXPECT_EQ(SSL_CTX_use_certificate_chain_file(context.get(), kept->certificate.c_str()), 1);
  EXPECT_EQ(SSL_CTX_use_PrivateKey_file(context.get(), kept->key.c_str(), SSL_FILETYPE_PEM), 1);
  EXPECT_EQ(SSL_CTX_load_verify_locations(context.get(), kept->authority.c_str(), nullptr), 1);
  EXPECT_EQ(SSL_CTX_check_private_key(context.get()), 1);
  EXPECT_EQ(SSL_CTX_use_certificate_chain_file(context.get(), "no such file"), 0);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
}

}  // namespace
}  // namespace baton
