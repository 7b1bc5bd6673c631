// A child process that ends when this one does, whatever ends it.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "runtime/base/result.h"

namespace baton {

// Starts this program with `arguments` (without the program's name). The child is killed by the kernel when the thread that
// calls this ends: call it from the main thread. With `stdout_fd` >= 0 that is the child's stdout. Errors: io_error.
Result<pid_t> start_self(const std::vector<std::string>& arguments, int stdout_fd = -1);

// "exit status 2", "killed by SIGKILL", from waitpid's status.
std::string describe_exit(int status);

}  // namespace baton
