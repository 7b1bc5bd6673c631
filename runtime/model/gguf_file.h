// The container of a GGUF v3 file: metadata by key, tensors by name. Little-endian.
//
//     "GGUF" | u32 version | u64 tensors | u64 pairs | pairs ... | tensor infos ... | padding | tensor data
//     pair   = string key | u32 type | value            string = u64 length | bytes
//     info   = string name | u32 dimensions | u64 each, contiguous first | u32 type | u64 offset in the tensor data
//
// The file is not trusted: every count and length is compared with the bytes that are left before it is used, and nothing is
// allocated in proportion to a number that the file merely states. Values stay where they are; arrays are walked once.
// Source: the ggml project's docs/gguf.md.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/model/loaded_model.h"

namespace baton {

enum class GgufType : std::uint32_t { u8, i8, u16, i16, u32, i32, f32, boolean, string, array, u64, i64, f64 };
const char* to_string(GgufType type);

struct GgufValue {
  GgufType type = GgufType::u8;
  GgufType element = GgufType::u8;       // of an array
  std::uint64_t count = 1;               // elements of an array
  std::span<const std::byte> bytes;      // a scalar's, a string's characters, or all of an array's elements

  // Nothing where the value is of another kind, or negative, or does not fit. Any integer type is an integer.
  std::optional<std::uint64_t> unsigned_integer() const;
  std::optional<double> real() const;                                   // f32, f64
  std::optional<bool> boolean() const;
  std::optional<std::string_view> string() const;
  std::optional<std::vector<std::string_view>> strings() const;
  std::optional<std::vector<std::uint64_t>> unsigned_integers() const;
  std::optional<std::vector<float>> floats() const;                     // array of f32
  std::string describe() const;                                         // "a string", "an array of u32"
};

struct GgufTensor {
  std::array<std::uint64_t, 4> dimensions{1, 1, 1, 1};   // contiguous one first
  std::uint32_t dimension_count = 1;
  TensorView view;                                       // columns = dimensions[0], rows = product of the others
};

class GgufFile {
 public:
  // `bytes` must outlive the result, aligned to 8; `file` is its name in errors.
  // Errors: invalid_file, unsupported (the version or a tensor's type).
  static Result<GgufFile> parse(std::span<const std::byte> bytes, std::string file);

  const std::string& file() const { return file_; }
  const GgufValue* find(std::string_view key) const;
  const std::map<std::string_view, GgufTensor>& tensors() const { return tensors_; }

 private:
  friend class GgufParser;
  std::string file_;
  std::map<std::string_view, GgufValue> values_;
  std::map<std::string_view, GgufTensor> tensors_;
};

}  // namespace baton
