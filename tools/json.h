// Results for programs.
#pragma once
#include <cstdio>
#include <nlohmann/json.hpp>
#include "tools/common.h"
#include "tools/npy.h"

namespace tools {
using Json = nlohmann::ordered_json;

inline void print_json(const Json& json) {
  const std::string text = json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
  std::fwrite(text.data(), 1, text.size(), stdout);
}

// A number for each known extent, the text of any other.
inline Json to_json(const Dims& dims) {
  Json list = Json::array();
  for (const Dim& d : dims) list.push_back(d.known() ? Json(d.value()) : Json(d.text()));
  return list;
}

inline Json to_json(const std::string& name, const Type& type) {
  Json json{{"name", name}, {"type", to_text(type)}};
  if (type.is_tensor()) json["dtype"] = numpy_name(type.dtype);
  if (type.is_tensor() && type.ranked) json["shape"] = to_json(type.dims);
  return json;
}
}  // namespace tools
