// The bytes that this process holds: what malloc gave out, and memory mapped without a file.
#pragma once
#include <cstdint>

extern const bool counts_bytes;  // false where a sanitiser's allocator is in the way
int64_t bytes_held();
int64_t most_bytes_held();  // since the last forget_most_bytes
void forget_most_bytes();
