#include "converter/convert.h"
#include "converter/include/inlay/convert.h"
#include "engine/api/api.h"
#include "engine/image_spec.h"
#include "engine/interface.h"
#include "engine/model_file.h"

using namespace engine;
using namespace engine::api;

namespace {
thread_local std::string last_message;

void convert(const char* from, const char* to, const inlay_convert_options& o) {
  require_given(from, "onnx_path"), require_given(to, "inlay_path");
  require(o.fixed || !o.fixed_count, Code::invalid_argument, "'fixed' is NULL");
  require(o.images || !o.image_count, Code::invalid_argument, "'images' is NULL");
  require(o.bounds || !o.bound_count, Code::invalid_argument, "'bounds' is NULL");
  require(o.states || !o.state_count, Code::invalid_argument, "'states' is NULL");
  converter::ConvertOptions options;
  for (const inlay_fixed_shape& fixed : std::span(o.fixed, o.fixed_count)) {
    require_given(fixed.input, "fixed[].input");
    const inlay_tensor tensor{nullptr, fixed.shape, fixed.rank, INLAY_F32};
    const ConstView view = view_of(&tensor, fixed.input);
    options.import.fix[fixed.input].assign(view.shape.begin(), view.shape.end());
  }
  if (o.progress)
    options.progress = [&o](std::string_view stage, int64_t done, int64_t total) {
      o.progress(o.user, std::string(stage).c_str(), done, total);
    };
  options.import.allow_custom = o.allow_custom;
  Graph graph = converter::convert(from, options);
  add_interface(graph, std::span(o.bounds, o.bound_count), std::span(o.states, o.state_count));
  for (const inlay_image& image : std::span(o.images, o.image_count)) {
    require_given(image.input, "images[].input"), require_given(image.spec, "images[].spec");
    set_image(graph[graph.inputs[find_input(graph, image.input)]], parse_image_spec(image.spec));
  }
  save_model(graph, to);
}
}  // namespace

inlay_status inlay_convert(const char* onnx_path, const char* inlay_path, const inlay_convert_options* options) {
  return guarded([&] {
    try {
      const size_t first_size = INLAY_SIZE_UP_TO(inlay_convert_options, state_count);
      convert(onnx_path, inlay_path, read_options(options, first_size, "inlay_convert_options"));
    } catch (const std::exception& e) {
      last_message = e.what();
      throw;
    }
  });
}

const char* inlay_convert_error(void) { return last_message.c_str(); }
