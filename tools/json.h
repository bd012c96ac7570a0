// Results for programs.
#pragma once
#include <nlohmann/json.hpp>
#include "tools/common.h"
#include "tools/npy.h"

namespace tools {
using Json = nlohmann::ordered_json;

void print_json(const Json&);

// A number for each known extent, the text of any other.
Json to_json(const Dims&);

Json to_json(const std::string& name, const Type&);
}  // namespace tools
