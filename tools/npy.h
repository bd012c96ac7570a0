// NumPy's .npy files: how tensors get into and out of the command.
#pragma once
#include "engine/tensor.h"

namespace tools {
// True for what looks like a .npy file by its first bytes.
bool is_npy(std::span<const std::byte> file);

// Reads a tensor: bool, integers, float16 to float64, or strings (U and S), of either byte order and memory order, in
// format version 1 to 3. Throws invalid_argument naming what is wrong with the file.
engine::Object read_npy(const std::string& path);
// The same from memory.
engine::Object parse_npy(std::span<const std::byte> file);

// Writes a tensor, replacing the file in one step. An element type that NumPy lacks is widened: bfloat16 and smaller
// floats to float32, integers below 8 bits to 8 bits.
void write_npy(const std::string& path, const engine::ConstView&);
std::string to_npy(const engine::ConstView&);

// What NumPy calls an element type ("float32"), or what others call it where NumPy has no such type ("bfloat16").
std::string_view numpy_name(engine::DType);
// The type that write_npy widens to; of a type that NumPy has, itself.
engine::DType npy_dtype(engine::DType);
}  // namespace tools
