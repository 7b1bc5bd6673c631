#include "runtime/model/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace baton {
namespace {

Error failure(const std::string& path, int error, const char* doing) {
  const ErrorCode code = error == ENOENT || error == ENOTDIR ? ErrorCode::not_found : ErrorCode::io_error;
  return Error{code, Scope::instance, fmt::format("{}: cannot {}: {}", path, doing, std::strerror(error))};
}

}  // namespace

Result<std::shared_ptr<const MappedFile>> MappedFile::open(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);   // a pipe must not block the start
  if (file < 0) return failure(path, errno, "open");
  struct stat status {};
  if (::fstat(file, &status) != 0) {
    const int error = errno;
    ::close(file);
    return failure(path, error, "read its size");
  }
  if (!S_ISREG(status.st_mode)) {
    ::close(file);
    return Error{ErrorCode::io_error, Scope::instance, fmt::format("{}: not a regular file", path)};
  }
  const auto size = static_cast<std::size_t>(status.st_size);
  if (size == 0) {
    ::close(file);
    return Error{ErrorCode::invalid_file, Scope::instance, fmt::format("{}: the file is empty", path)};
  }
  void* data = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, file, 0);
  const int error = errno;
  ::close(file);
  if (data == MAP_FAILED) return failure(path, error, "map");
  return std::shared_ptr<const MappedFile>(new MappedFile(static_cast<const std::byte*>(data), size));
}

MappedFile::~MappedFile() { ::munmap(const_cast<std::byte*>(data_), size_); }

bool is_directory(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

bool file_exists(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0;
}

Result<std::string> read_small_file(const std::string& path, std::uint64_t limit) {
  auto file = MappedFile::open(path);
  if (!file) return file.error();
  const auto bytes = (*file)->bytes();
  if (bytes.size() > limit) {
    return Error{ErrorCode::invalid_file, Scope::instance,
                 fmt::format("{}: {} bytes long, expected at most {}", path, bytes.size(), limit)};
  }
  return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

}  // namespace baton
