#include "tools/json.h"
#include <cstdio>

namespace tools {
void print_json(const Json& json) {
  const std::string text = json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
  std::fwrite(text.data(), 1, text.size(), stdout);
}

Json to_json(const Dims& dims) {
  Json list = Json::array();
  for (const Dim& d : dims) list.push_back(d.known() ? Json(d.value()) : Json(d.text()));
  return list;
}

Json to_json(const std::string& name, const Type& type) {
  Json json{{"name", name}, {"type", to_text(type)}};
  if (type.is_tensor()) json["dtype"] = numpy_name(type.dtype);
  if (type.is_tensor() && type.ranked) json["shape"] = to_json(type.dims);
  return json;
}
}  // namespace tools
