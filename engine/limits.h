// What an untrusted model may ask for. Everything is checked against these before it is allocated.
#pragma once
#include <cstdint>

namespace engine::limits {
inline constexpr int64_t nodes = 1 << 20;           // per model, bodies included
inline constexpr int64_t values = 1 << 22;          // per model, bodies included
inline constexpr int64_t rank = 32;                 // dims of a tensor
inline constexpr int64_t extent = int64_t{1} << 40;  // of one dim
inline constexpr int64_t expression = 256;          // symbols, numbers and operators of one dim; a longer one is unknown
inline constexpr int64_t bytes = int64_t{1} << 40;  // of one tensor, of one arena
inline constexpr int64_t nesting = 32;              // If, Loop and Scan bodies, and sequences of sequences
inline constexpr int64_t ports = 1 << 16;           // inputs or outputs of a node
inline constexpr int64_t name = 1 << 16;            // characters of one name or string field
inline constexpr int64_t folded_bytes = 64 << 20;   // of a tensor that constant folding may create
inline constexpr double folded_work = 1e9;          // operations that folding one node may take
inline constexpr int64_t sizing_numbers = 64;       // elements of an input whose values a plan may be made for
inline constexpr int64_t known_ints = 1024;         // elements of an integer tensor whose values inference follows
inline constexpr int64_t picture_pixels = 1 << 28;  // of a picture that a model decodes
inline constexpr int64_t plans = 16;                // cached per graph; see PlanCache
inline constexpr int64_t threads = 1024;            // of a pool
}  // namespace engine::limits
