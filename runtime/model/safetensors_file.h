// One file of safetensors: u64 length | JSON header | tensor data. Little-endian; the file is not trusted.
//
//     header = {"name": {"dtype": "BF16", "shape": [rows, columns], "data_offsets": [begin, end]}, ..., "__metadata__": {...}}
//
// Source: the format description of the safetensors project.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/model/tensor_table.h"

namespace baton {

// Adds the file's tensors to `table`; they point into `bytes`, except those that do not lie aligned to their elements: they are
// copied, and `owners` gets the copies. Errors: invalid_file, unsupported (a dtype other than F32, F16, BF16).
Status add_safetensors(std::span<const std::byte> bytes, const std::string& file, TensorTable& table,
                       std::vector<std::shared_ptr<const void>>& owners);

}  // namespace baton
