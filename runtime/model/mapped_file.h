// A whole file as read-only memory. The only place of runtime/ that opens files, with read_small_file for texts.
//
// A mapping is as good as the file: one that is truncated by another process while it is mapped faults when it is read, so
// model files must be replaced by rename, never rewritten in place.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "runtime/base/result.h"

namespace baton {

class MappedFile {
 public:
  // Errors: not_found, io_error (no permission, not a regular file), invalid_file (empty).
  static Result<std::shared_ptr<const MappedFile>> open(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const { return {data_, size_}; }   // page-aligned, valid as long as this object

 private:
  MappedFile(const std::byte* data, std::size_t size) : data_(data), size_(size) {}
  const std::byte* data_;
  std::size_t size_;
};

bool is_directory(const std::string& path);
bool file_exists(const std::string& path);

// Errors: as open, and invalid_file when it is longer than `limit` bytes.
Result<std::string> read_small_file(const std::string& path, std::uint64_t limit);

}  // namespace baton
