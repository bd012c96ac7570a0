// What op structs are made of: the types of their fields, and the list of these that each struct gives.
#pragma once
#include <string>
#include <variant>
#include <vector>
#include "schema/dtypes.h"

namespace schema {
using Ints = std::vector<int64_t>;
using Strings = std::vector<std::string>;
using DTypes = std::vector<DType>;

// A named parameter of a custom op. An empty list stands for one of any element.
struct Attribute {
  std::string name;
  std::variant<int64_t, double, std::string, Ints, std::vector<double>, Strings> value;
  bool operator==(const Attribute&) const = default;
};
using Attributes = std::vector<Attribute>;

#define SCHEMA_FIELDS(T, ...) static constexpr void visit_fields([[maybe_unused]] auto&& v) { \
    using Self [[maybe_unused]] = T;                                              \
    __VA_ARGS__;                                                                  \
  }
}  // namespace schema
