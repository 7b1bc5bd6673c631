// The header of a safetensors file, with a right length before it and zeros behind; a first byte of '!' makes the input the
// whole file instead.
#include "runtime/model/safetensors_file.h"
#include "tests/fuzz/mutation.h"
#include "tests/runtime/model/model_writers.h"

namespace {

constexpr std::size_t kDataBytes = 64 << 10;

const std::vector<std::string>& seeds() {
  static const std::vector<std::string> all = [] {
    std::vector<std::string> out;
    for (const char* dtype : {"F32", "F16", "BF16"}) {
      out.push_back(baton::test::tiny_safetensors(dtype, true, "LlamaForCausalLM").header.dump());
    }
    baton::test::SafetensorsWriter few;
    few.add("a", "F32", {2, 3});
    few.add("b", "BF16", {5});
    few.header["__metadata__"] = {{"format", "pt"}};
    out.push_back(few.header.dump());
    out.push_back("!" + few.bytes());
    few.header["b"]["data_offsets"] = {20, 30};
    out.push_back(few.header.dump());
    return out;
  }();
  return all;
}

}  // namespace

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size, unsigned seed) {
  return baton::fuzz::mutate_json_parts(seeds(), data, size, max_size, seed);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string file;
  if (size > 0 && data[0] == '!') {
    file.assign(reinterpret_cast<const char*>(data) + 1, size - 1);
  } else {
    file = baton::test::raw<std::uint64_t>(size) + std::string(reinterpret_cast<const char*>(data), size);
    file.resize(file.size() + kDataBytes);
  }
  baton::TensorTable table("input");
  std::vector<std::shared_ptr<const void>> owners;
  const auto status = baton::add_safetensors(std::as_bytes(std::span(file.data(), file.size())), "input", table, owners);
  if (!status.ok()) return 0;
  baton::ModelSpec spec;
  spec.architecture = "llama";
  spec.layers = 1;
  (void)table.take_all(spec, {});
  return 0;
}
