// Of test programs under ThreadSanitizer. UCX patches madvise and calls pthread_rwlock_rdlock from it, also when the C library ends a
// thread whose sanitizer state is gone already: a crash. UCX reads this variable when it is loaded, so the program starts once more.
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

namespace {

const bool kWithoutMemoryEvents = [] {
  if (::setenv("UCX_MEM_EVENTS", "n", 0) != 0 || std::getenv("BATON_TEST_STARTED_ANEW") != nullptr) return false;
  ::setenv("BATON_TEST_STARTED_ANEW", "1", 1);
  std::ifstream file("/proc/self/cmdline");
  std::vector<std::string> words;
  for (std::string word; std::getline(file, word, '\0');) words.push_back(word);
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  ::execv("/proc/self/exe", arguments.data());
  return false;
}();

}  // namespace
