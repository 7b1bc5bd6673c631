#include "runtime/model/gguf_file.h"

#include <algorithm>
#include <iterator>
#include <tuple>
#include <utility>

#include "runtime/model/byte_reader.h"
#include "runtime/model/printable.h"

namespace baton {
namespace {

constexpr std::uint64_t kMaxKeyBytes = 65535;
constexpr std::uint64_t kMaxTensorNameBytes = 64;
constexpr std::uint32_t kMaxArrayDepth = 4;
constexpr std::uint64_t kLeastPairBytes = 8 + 4 + 1;           // an empty key, a type, a one-byte value
constexpr std::uint64_t kLeastInfoBytes = 8 + 4 + 8 + 4 + 8;   // an empty name, one dimension

constexpr const char* kSupportedTypes = "F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q4_K, Q5_K, Q6_K";

std::optional<TensorType> tensor_type(std::uint32_t ggml_type) {
  switch (ggml_type) {
    case 0: return TensorType::f32;
    case 1: return TensorType::f16;
    case 2: return TensorType::q4_0;
    case 3: return TensorType::q4_1;
    case 8: return TensorType::q8_0;
    case 12: return TensorType::q4_k;
    case 13: return TensorType::q5_k;
    case 14: return TensorType::q6_k;
    case 30: return TensorType::bf16;
    default: return std::nullopt;
  }
}

std::string name_of_ggml_type(std::uint32_t type) {
  static constexpr const char* kNames[] = {
      "F32", "F16", "Q4_0", "Q4_1", "Q4_2", "Q4_3", "Q5_0", "Q5_1", "Q8_0", "Q8_1", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "Q8_K",
      "IQ2_XXS", "IQ2_XS", "IQ3_XXS", "IQ1_S", "IQ4_NL", "IQ3_S", "IQ2_S", "IQ4_XS", "I8", "I16", "I32", "I64", "F64", "IQ1_M",
      "BF16"};
  if (type < std::size(kNames)) return kNames[type];
  return fmt::format("of id {}", type);
}

std::uint64_t scalar_bytes(GgufType type) {   // 0: not a scalar
  switch (type) {
    case GgufType::u8:
    case GgufType::i8:
    case GgufType::boolean: return 1;
    case GgufType::u16:
    case GgufType::i16: return 2;
    case GgufType::u32:
    case GgufType::i32:
    case GgufType::f32: return 4;
    case GgufType::u64:
    case GgufType::i64:
    case GgufType::f64: return 8;
    case GgufType::string:
    case GgufType::array: return 0;
  }
  return 0;
}

bool all_booleans(std::span<const std::byte> bytes) {
  for (const std::byte b : bytes) {
    if (b > std::byte{1}) return false;
  }
  return true;
}

}  // namespace

class GgufParser {
 public:
  GgufParser(std::span<const std::byte> bytes, std::string file) : bytes_(bytes), reader_(bytes) { out_.file_ = std::move(file); }

  Result<GgufFile> run() {
    for (auto step : {&GgufParser::read_head, &GgufParser::read_pairs, &GgufParser::read_infos, &GgufParser::place_tensors}) {
      if (Status status = (this->*step)(); !status) return status.error();
    }
    return std::move(out_);
  }

 private:
  struct Placed {
    std::string_view name;
    std::uint64_t offset;
    std::uint64_t bytes;
  };

  template <class... Args>
  Error invalid(fmt::format_string<Args...> format, Args&&... args) const {
    return Error{ErrorCode::invalid_file, Scope::instance,
                 fmt::format("{}: {}", out_.file_, fmt::format(format, std::forward<Args>(args)...))};
  }
  Error truncated(std::string_view what) const {
    return invalid("the file ends at byte {} within {}; is the download complete?", bytes_.size(), what);
  }

  Status read_head() {
    const auto magic = reader_.take(4);
    if (!magic || as_text(*magic) != "GGUF") return invalid("not a GGUF file: it does not begin with \"GGUF\"");
    const auto version = reader_.read<std::uint32_t>();
    if (!version) return truncated("the header");
    if (*version != 3) {
      const bool swapped = *version == 0x03000000;
      return Error{ErrorCode::unsupported, Scope::instance,
                   fmt::format("{}: GGUF {}; supported: version 3, little-endian", out_.file_,
                               swapped ? std::string("is big-endian") : fmt::format("version {}", *version))};
    }
    const auto tensors = reader_.read<std::uint64_t>();
    const auto pairs = reader_.read<std::uint64_t>();
    if (!tensors || !pairs) return truncated("the header");
    if (*pairs > reader_.remaining() / kLeastPairBytes) {
      return invalid("states {} metadata pairs, more than its {} bytes can hold", *pairs, bytes_.size());
    }
    if (*tensors > reader_.remaining() / kLeastInfoBytes) {
      return invalid("states {} tensors, more than its {} bytes can hold", *tensors, bytes_.size());
    }
    pair_count_ = *pairs;
    tensor_count_ = *tensors;
    return ok();
  }

  std::optional<std::string_view> read_string() {
    const auto length = reader_.read<std::uint64_t>();
    const auto text = length ? reader_.take(*length) : std::nullopt;
    if (!text) return std::nullopt;
    return as_text(*text);
  }

  Status read_pairs() {
    for (std::uint64_t i = 0; i < pair_count_; ++i) {
      const auto key = read_string();
      if (!key) return truncated(fmt::format("the key of metadata pair {}", i));
      if (key->empty() || key->size() > kMaxKeyBytes) {
        return invalid("metadata pair {} has a key of {} bytes, expected 1 to {}", i, key->size(), kMaxKeyBytes);
      }
      auto value = read_value(*key);
      if (!value) return value.error();
      if (!out_.values_.emplace(*key, *value).second) return invalid("key {} appears twice", printable(*key));
    }
    return ok();
  }

  Result<GgufType> read_type(std::string_view key) {
    const auto type = reader_.read<std::uint32_t>();
    if (!type) return truncated(fmt::format("the type of key {}", printable(key)));
    if (*type > static_cast<std::uint32_t>(GgufType::f64)) {
      return invalid("key {} has value type {}, expected 0 to 12", printable(key), *type);
    }
    return static_cast<GgufType>(*type);
  }

  Result<GgufValue> read_value(std::string_view key) {
    const auto type = read_type(key);
    if (!type) return type.error();
    GgufValue value;
    value.type = *type;
    if (*type == GgufType::array) {
      const auto element = read_type(key);
      if (!element) return element.error();
      const auto count = reader_.read<std::uint64_t>();
      if (!count) return truncated(fmt::format("the length of key {}", printable(key)));
      value.element = *element;
      value.count = *count;
      const std::uint64_t begin = reader_.position();
      if (Status status = walk_elements(key, *element, *count, 1); !status) return status.error();
      value.bytes = bytes_.subspan(begin, reader_.position() - begin);
      return value;
    }
    if (*type == GgufType::string) {
      const auto text = read_string();
      if (!text) return truncated(fmt::format("the string of key {}", printable(key)));
      value.bytes = std::as_bytes(std::span(text->data(), text->size()));
      return value;
    }
    const auto bytes = reader_.take(scalar_bytes(*type));
    if (!bytes) return truncated(fmt::format("the value of key {}", printable(key)));
    if (*type == GgufType::boolean && !all_booleans(*bytes)) {
      return invalid("key {} is a bool of value {}, expected 0 or 1", printable(key), load_as<std::uint8_t>(*bytes));
    }
    value.bytes = *bytes;
    return value;
  }

  Status walk_elements(std::string_view key, GgufType element, std::uint64_t count, std::uint32_t depth) {
    if (const std::uint64_t each = scalar_bytes(element); each != 0) {
      if (count > reader_.remaining() / each) return too_long(key, count);
      const auto bytes = reader_.take(count * each);
      if (element == GgufType::boolean && !all_booleans(*bytes)) {
        return invalid("key {} has a bool that is neither 0 nor 1", printable(key));
      }
      return ok();
    }
    if (count > reader_.remaining() / 8) return too_long(key, count);   // a string or an array takes 8 bytes at least
    for (std::uint64_t i = 0; i < count; ++i) {
      if (element == GgufType::string) {
        if (!read_string()) return truncated(fmt::format("element {} of key {}", i, printable(key)));
        continue;
      }
      if (depth == kMaxArrayDepth) return invalid("key {} nests arrays deeper than {}", printable(key), kMaxArrayDepth);
      const auto inner = read_type(key);
      if (!inner) return inner.error();
      const auto inner_count = reader_.read<std::uint64_t>();
      if (!inner_count) return truncated(fmt::format("element {} of key {}", i, printable(key)));
      if (Status status = walk_elements(key, *inner, *inner_count, depth + 1); !status) return status;
    }
    return ok();
  }
  Error too_long(std::string_view key, std::uint64_t count) const {
    return invalid("key {} states {} elements, more than the {} bytes left can hold", printable(key), count, reader_.remaining());
  }

  Status read_infos() {
    placed_.reserve(tensor_count_);
    for (std::uint64_t i = 0; i < tensor_count_; ++i) {
      const auto name = read_string();
      if (!name) return truncated(fmt::format("the name of tensor {}", i));
      if (name->empty() || name->size() > kMaxTensorNameBytes) {
        return invalid("tensor {} has a name of {} bytes, expected 1 to {}", i, name->size(), kMaxTensorNameBytes);
      }
      if (Status status = read_info(*name); !status) return status;
    }
    return ok();
  }

  Status read_info(std::string_view name) {
    GgufTensor tensor;
    const auto count = reader_.read<std::uint32_t>();
    if (!count) return truncated(fmt::format("tensor {}", printable(name)));
    if (*count < 1 || *count > tensor.dimensions.size()) {
      return invalid("tensor {} has {} dimensions, expected 1 to 4", printable(name), *count);
    }
    tensor.dimension_count = *count;
    for (std::uint32_t d = 0; d < *count; ++d) {
      const auto size = reader_.read<std::uint64_t>();
      if (!size) return truncated(fmt::format("tensor {}", printable(name)));
      tensor.dimensions[d] = *size;
    }
    const auto ggml_type = reader_.read<std::uint32_t>();
    const auto offset = reader_.read<std::uint64_t>();
    if (!ggml_type || !offset) return truncated(fmt::format("tensor {}", printable(name)));
    const auto type = tensor_type(*ggml_type);
    if (!type) {
      return Error{ErrorCode::unsupported, Scope::instance,
                   fmt::format("{}: tensor {} is {}; supported: {}", out_.file_, printable(name), name_of_ggml_type(*ggml_type),
                               kSupportedTypes)};
    }
    const auto bytes = size_of(tensor, *type, name);
    if (!bytes) return bytes.error();
    if (!out_.tensors_.emplace(name, tensor).second) return invalid("tensor {} appears twice", printable(name));
    placed_.push_back({name, *offset, *bytes});
    return ok();
  }

  // Fills the view's shape. The whole file bounds a tensor, so that no product can overflow: each factor is compared with it.
  Result<std::uint64_t> size_of(GgufTensor& tensor, TensorType type, std::string_view name) const {
    const std::uint64_t columns = tensor.dimensions[0];
    if (columns == 0 || columns % block_of(type) != 0) {
      return invalid("tensor {} has rows of {} values, expected a multiple of {} for {}", printable(name), columns,
                     block_of(type), to_string(type));
    }
    const auto too_big = [&] {
      return invalid("tensor {} of {} x {} x {} x {} is larger than the file", printable(name), tensor.dimensions[0],
                     tensor.dimensions[1], tensor.dimensions[2], tensor.dimensions[3]);
    };
    if (columns / block_of(type) > bytes_.size()) return too_big();
    const std::uint64_t row = bytes_of_row(type, columns);
    std::uint64_t rows = 1;
    for (std::uint32_t d = 1; d < tensor.dimension_count; ++d) {
      const std::uint64_t size = tensor.dimensions[d];
      if (size == 0) return invalid("tensor {} has a dimension of 0", printable(name));
      if (size > bytes_.size() / rows) return too_big();
      rows *= size;
    }
    if (rows > bytes_.size() / row) return too_big();
    tensor.view.type = type;
    tensor.view.rows = rows;
    tensor.view.columns = columns;
    return rows * row;
  }

  Status place_tensors() {
    std::uint64_t alignment = 32;
    if (const GgufValue* value = out_.find("general.alignment")) {
      const auto stated = value->unsigned_integer();
      if (!stated || *stated == 0 || *stated % 8 != 0 || *stated > (1u << 20)) {
        return invalid("general.alignment is {}, expected a multiple of 8 up to 1048576", value->describe());
      }
      alignment = *stated;
    }
    if (tensor_count_ == 0) return ok();
    const std::uint64_t data = (reader_.position() + alignment - 1) / alignment * alignment;
    if (data > bytes_.size()) return truncated("the padding before the tensor data");
    const std::uint64_t data_bytes = bytes_.size() - data;
    for (const Placed& tensor : placed_) {
      if (tensor.offset % alignment != 0) {
        return invalid("tensor {} begins at offset {}, expected a multiple of {}", printable(tensor.name), tensor.offset,
                       alignment);
      }
      if (tensor.offset > data_bytes || tensor.bytes > data_bytes - tensor.offset) {
        return invalid("tensor {} needs {} bytes at offset {}, but the tensor data has {}; is the download complete?",
                       printable(tensor.name), tensor.bytes, tensor.offset, data_bytes);
      }
      out_.tensors_.find(tensor.name)->second.view.data = bytes_.subspan(data + tensor.offset, tensor.bytes);
    }
    return refuse_overlaps();
  }

  // What a device makes of the tensors is then bounded by the file's size.
  Status refuse_overlaps() {
    std::sort(placed_.begin(), placed_.end(), [](const Placed& a, const Placed& b) {
      return std::tie(a.offset, a.name) < std::tie(b.offset, b.name);
    });
    for (std::size_t i = 1; i < placed_.size(); ++i) {
      const Placed &before = placed_[i - 1], &tensor = placed_[i];
      if (tensor.offset - before.offset < before.bytes) {
        return invalid("tensors {} and {} overlap", printable(before.name), printable(tensor.name));
      }
    }
    return ok();
  }

  std::span<const std::byte> bytes_;
  ByteReader reader_;
  GgufFile out_;
  std::uint64_t pair_count_ = 0;
  std::uint64_t tensor_count_ = 0;
  std::vector<Placed> placed_;
};

Result<GgufFile> GgufFile::parse(std::span<const std::byte> bytes, std::string file) {
  return GgufParser(bytes, std::move(file)).run();
}

const GgufValue* GgufFile::find(std::string_view key) const {
  const auto found = values_.find(key);
  return found == values_.end() ? nullptr : &found->second;
}

}  // namespace baton
