#include "runtime/model/safetensors_file.h"

#include <algorithm>
#include <utility>

#include "runtime/model/byte_reader.h"
#include "runtime/model/json_keys.h"
#include "runtime/model/printable.h"

namespace baton {
namespace {

constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;   // the format's own bound
constexpr std::size_t kMaxDimensions = 8;

class SafetensorsParser {
 public:
  SafetensorsParser(std::span<const std::byte> bytes, const std::string& file, TensorTable& table,
                    std::vector<std::shared_ptr<const void>>& owners)
      : bytes_(bytes), file_(file), table_(table), owners_(owners) {}

  Status run() {
    ByteReader reader(bytes_);
    const auto length = reader.read<std::uint64_t>();
    if (!length) return invalid("too short for a safetensors file");
    if (*length > kMaxHeaderBytes || *length > reader.remaining()) {
      return invalid("states a header of {} bytes, but {} are left (and {} is the bound); is the download complete?", *length,
                     reader.remaining(), kMaxHeaderBytes);
    }
    const auto header = parse_json_object(as_text(*reader.take(*length)), file_);
    if (!header) return header.error();
    data_ = bytes_.subspan(reader.position());
    for (const auto& [name, info] : header->items()) {
      if (name == "__metadata__") continue;
      if (Status status = place_tensor(name, info); !status) return status;
    }
    if (Status status = refuse_overlaps(); !status) return status;
    for (Placed& tensor : placed_) {
      tensor.view.data = align(tensor.view);
      if (!table_.add(tensor.name, tensor.view)) return invalid("tensor {} appears twice in the model's files", printable(tensor.name));
    }
    return ok();
  }

 private:
  struct Placed {
    std::string name;
    TensorView view;
  };

  template <class... Args>
  Error invalid(fmt::format_string<Args...> format, Args&&... args) const {
    return Error{ErrorCode::invalid_file, Scope::instance,
                 fmt::format("{}: {}", file_, fmt::format(format, std::forward<Args>(args)...))};
  }

  Status place_tensor(const std::string& name, const nlohmann::json& info) {
    JsonKeys keys(info, file_, name + ".");
    const std::string dtype = keys.string("dtype");
    if (keys.error()) return *keys.error();
    TensorView view;
    if (dtype == "F32") {
      view.type = TensorType::f32;
    } else if (dtype == "F16") {
      view.type = TensorType::f16;
    } else if (dtype == "BF16") {
      view.type = TensorType::bf16;
    } else {
      return Error{ErrorCode::unsupported, Scope::instance,
                   fmt::format("{}: tensor {} is {}; supported: F32, F16, BF16", file_, printable(name), printable(dtype))};
    }
    if (Status status = read_shape(name, keys.find("shape"), view); !status) return status;
    auto data = read_place(name, keys.find("data_offsets"));
    if (!data) return data.error();
    // Neither factor exceeds the file's size in elements (read_shape), nor does the product.
    const std::uint64_t expected = view.rows * bytes_of_row(view.type, view.columns);
    if (data->size() != expected) {
      return invalid("tensor {} is {} x {} {}, {} bytes, but its data_offsets span {}", printable(name), view.rows,
                     view.columns, dtype, expected, data->size());
    }
    view.data = *data;
    placed_.push_back({name, view});
    return ok();
  }

  // Copies, and what a device makes of the tensors, are then bounded by the file's size.
  Status refuse_overlaps() {
    const auto begin = [](const Placed& tensor) { return tensor.view.data.data(); };
    std::stable_sort(placed_.begin(), placed_.end(), [&](const Placed& a, const Placed& b) { return begin(a) < begin(b); });
    for (std::size_t i = 1; i < placed_.size(); ++i) {
      const Placed& before = placed_[i - 1];
      if (begin(placed_[i]) < begin(before) + before.view.data.size()) {
        return invalid("tensors {} and {} overlap", printable(before.name), printable(placed_[i].name));
      }
    }
    return ok();
  }

  Status read_shape(const std::string& name, const nlohmann::json* shape, TensorView& view) const {
    if (shape == nullptr || !shape->is_array() || shape->size() > kMaxDimensions) {
      return invalid("tensor {} has no shape of up to {} sizes", printable(name), kMaxDimensions);
    }
    std::uint64_t product = 1;
    view.columns = 1;
    for (const auto& entry : *shape) {
      const auto size = as_unsigned(entry);
      if (!size || *size == 0) return invalid("tensor {} has a size in its shape that is no positive integer", printable(name));
      if (*size > bytes_.size() / product) return invalid("tensor {} is larger than the file", printable(name));
      product *= *size;
      view.columns = *size;
    }
    view.rows = product / view.columns;
    return ok();
  }

  Result<std::span<const std::byte>> read_place(const std::string& name, const nlohmann::json* offsets) const {
    if (offsets == nullptr || !offsets->is_array() || offsets->size() != 2) {
      return invalid("tensor {} has no data_offsets of two numbers", printable(name));
    }
    const auto begin = as_unsigned((*offsets)[0]);
    const auto end = as_unsigned((*offsets)[1]);
    if (!begin || !end || *begin > *end || *end > data_.size()) {
      return invalid("tensor {} lies outside the file's {} bytes of tensor data; is the download complete?", name, data_.size());
    }
    return data_.subspan(*begin, *end - *begin);
  }

  std::span<const std::byte> align(const TensorView& view) {
    if (reinterpret_cast<std::uintptr_t>(view.data.data()) % bytes_of_row(view.type, 1) == 0) return view.data;
    auto copy = std::make_shared<std::vector<std::byte>>(view.data.begin(), view.data.end());
    const std::span<const std::byte> aligned(*copy);
    owners_.push_back(std::move(copy));
    return aligned;
  }

  std::span<const std::byte> bytes_;
  std::span<const std::byte> data_;
  const std::string& file_;
  TensorTable& table_;
  std::vector<std::shared_ptr<const void>>& owners_;
  std::vector<Placed> placed_;
};

}  // namespace

Status add_safetensors(std::span<const std::byte> bytes, const std::string& file, TensorTable& table,
                       std::vector<std::shared_ptr<const void>>& owners) {
  return SafetensorsParser(bytes, file, table, owners).run();
}

}  // namespace baton
