// A private folder for one run: ${XDG_RUNTIME_DIR:-/tmp}/baton-XXXXXX, 0700, removed with everything in it at the end.
#pragma once

#include <string>

#include "runtime/base/result.h"

namespace baton {

class RunDirectory {
 public:
  static Result<RunDirectory> make();
  RunDirectory(RunDirectory&& other) noexcept;
  RunDirectory& operator=(RunDirectory&&) = delete;
  ~RunDirectory();

  const std::string& path() const { return path_; }
  Status write(const std::string& name, const std::string& text) const;

 private:
  explicit RunDirectory(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

}  // namespace baton
