#include "actors/child_process.h"

#include <fcntl.h>
#include <signal.h>
#include <spdlog/fmt/fmt.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace baton {

Result<pid_t> start_self(const std::vector<std::string>& arguments, int stdout_fd) {
  std::vector<std::string> words{"baton"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) {
    return Error{ErrorCode::io_error, Scope::instance, fmt::format("cannot start a process: {}", std::strerror(errno))};
  }
  if (child > 0) return child;
  // From here to exec only what is safe after fork in a process with threads.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);             // it died before prctl
  ::setpgid(0, 0);                                   // a terminal's Ctrl-C goes to the supervisor, which drains in order
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  if (stdout_fd >= 0) ::dup2(stdout_fd, STDOUT_FILENO);
  ::execv("/proc/self/exe", argv.data());
  ::_exit(127);
}

std::string describe_exit(int status) {
  if (WIFSIGNALED(status)) return fmt::format("killed by SIG{}", ::sigabbrev_np(WTERMSIG(status)));
  return fmt::format("exit status {}", WEXITSTATUS(status));
}

}  // namespace baton
