#include "engine/api/api.h"
#include "engine/device.h"
#include "engine/image_spec.h"
#include "engine/shape.h"
#include "engine/tuning.h"
#include "kernels/os.h"

using namespace engine;
using namespace engine::api;

namespace {
inlay_model::Info describe(const std::string& name, const Value& value) {
  const Type& type = value.type;
  inlay_model::Info d;
  d.text = to_text(type);
  if (value.image) d.image = to_text(*value.image);
  d.info.name = name.c_str();
  d.info.kind = inlay_kind(type.kind);
  d.info.dtype = inlay_dtype(type.dtype);
  d.info.rank = type.is_tensor() && type.ranked ? int32_t(type.rank()) : -1;
  if (d.info.rank < 0) return d;
  for (const Dim& dim : type.dims) {
    d.shape.push_back(dim.known() ? dim.value() : -1);
    d.upper.push_back(dim.known() ? dim.value() : dim.bounded() ? dim.upper() : -1);
    d.symbol_texts.push_back(dim.known() ? "" : dim.text());
  }
  return d;
}

std::vector<inlay_model::Info> describe(size_t count, auto&& name, auto&& value) {
  std::vector<inlay_model::Info> all;
  for (size_t k = 0; k < count; ++k) all.push_back(describe(name(k), value(k)));
  for (inlay_model::Info& d : all) {  // where they stay
    for (const std::string& text : d.symbol_texts) d.symbols.push_back(text.c_str());
    d.info.shape = d.shape.data(), d.info.symbols = d.symbols.data(), d.info.upper = d.upper.data();
    d.info.text = d.text.c_str();
    if (!d.image.empty()) d.info.image = d.image.c_str();
  }
  return all;
}

using kernels::Precision;
static_assert(INLAY_PRECISION_F32 == int(Precision::f32) && INLAY_PRECISION_TF32 == int(Precision::tf32) && INLAY_PRECISION_F16 == int(Precision::f16) &&
              INLAY_PRECISION_BF16 == int(Precision::bf16));

constexpr size_t first_options = INLAY_SIZE_UP_TO(inlay_model_options, strict);

// Null: it is not available, and the CPU will do.
std::shared_ptr<Device> open_device(int32_t index, bool fallback) {
  try {
    return Device::cuda(index);
  } catch (const Error& e) {
    if (!fallback || e.code != Code::unsupported) throw;
    return nullptr;
  }
}

struct Prepared {
  inlay_model_options given;
  CompileOptions compile;
  std::shared_ptr<const CustomOpSet> custom_ops;
  std::string note;
};
Prepared prepare(const inlay_model_options* options) {
  Prepared p{read_options(options, first_options, "inlay_model_options"), {}, {}, {}};
  const inlay_model_options& o = p.given;
  require(o.device == INLAY_CPU || o.device == INLAY_CUDA, Code::invalid_argument, "device ", o.device, " does not exist");
  if (o.device == INLAY_CUDA) p.compile.device = open_device(o.device_index, o.device_fallback);
  require(o.precision >= INLAY_PRECISION_F32 && o.precision <= INLAY_PRECISION_ONLY_F32, Code::invalid_argument, "precision ", o.precision, " does not exist");
  const bool only_f32 = o.precision == INLAY_PRECISION_ONLY_F32;
  if (o.precision != INLAY_PRECISION_F32 && (o.device == INLAY_CPU || p.compile.device)) p.compile.precision = only_f32 ? Precision::f32 : Precision(o.precision);
  require(kernels::isa::error().empty(), Code::invalid_argument, kernels::isa::error());
  if (o.max_isa) {
    const auto mask = kernels::isa::find(o.max_isa);
    require(mask.has_value(), Code::invalid_argument, "there is no instruction set '", o.max_isa, "'");
    p.compile.isa &= *mask;
  }
  p.compile.strict = o.strict;
  require_precision(p.compile);
  if (o.tune_cache) {
    const auto tuning = std::make_shared<const Tuning>(Tuning::load(o.tune_cache));
    if (!tuning->set_aside().empty()) p.note = cat(o.tune_cache, " is set aside: ", tuning->set_aside());
    p.compile.tuned = tuning;
  }
  require(o.max_arena_bytes >= 0, Code::invalid_argument, "max_arena_bytes is ", o.max_arena_bytes);
  if (o.max_arena_bytes) p.compile.max_arena_bytes = o.max_arena_bytes;
  require(o.max_memory_bytes >= 0, Code::invalid_argument, "max_memory_bytes is ", o.max_memory_bytes);
  if (o.max_memory_bytes) p.compile.max_memory_bytes = o.max_memory_bytes;
  require(o.max_work >= 0, Code::invalid_argument, "max_work is ", o.max_work);
  if (o.max_work > 0) p.compile.max_work = o.max_work;
  require(o.custom_ops || !o.custom_op_count, Code::invalid_argument, "'custom_ops' is NULL");
  p.custom_ops = custom_ops(std::span(o.custom_ops, o.custom_op_count));
  require(o.bounds || !o.bound_count, Code::invalid_argument, "'bounds' is NULL");
  require(o.states || !o.state_count, Code::invalid_argument, "'states' is NULL");
  return p;
}

void finish(Graph graph, Prepared p, inlay_model** model) {
  add_interface(graph, std::span(p.given.bounds, p.given.bound_count), std::span(p.given.states, p.given.state_count));
  auto* const made = new inlay_model(std::make_shared<const Model>(std::move(graph), std::move(p.compile), std::move(p.custom_ops)));
  made->note = std::move(p.note);
  *model = made;
}

// Calls `release` when the last user of a caller's memory is gone.
struct Released {
  void (*release)(void*) = nullptr;
  void* user = nullptr;
  Released& operator=(Released&&) = delete;
  ~Released() {
    if (release) release(user);
  }
};
}  // namespace

void engine::api::add_interface(Graph& graph, std::span<const inlay_bound> bounds, std::span<const inlay_state> states) {
  for (const inlay_bound& bound : bounds) {
    require_given(bound.symbol, "bounds[].symbol");
    bound_symbol(graph, bound.symbol, bound.upper);
  }
  if (!bounds.empty()) infer_types(graph);
  for (const inlay_state& state : states) {
    require_given(state.input, "states[].input"), require_given(state.output, "states[].output");
    add_state(graph, state.input, state.output);
  }
}

inlay_model::inlay_model(std::shared_ptr<const Model> m)
    : model(std::move(m)),
      inputs(describe(
          model->inputs(), [&](size_t k) -> const std::string& { return model->input(k).name; },
          [&](size_t k) -> const Value& { return model->input(k); })),
      outputs(describe(
          model->outputs(), [&](size_t k) -> const std::string& { return model->output_name(k); },
          [&](size_t k) -> const Value& { return model->graph()[model->graph().outputs[k].value]; })) {}

int32_t inlay_device_available(inlay_device device) {
  return guarded([&] {
           require(device == INLAY_CPU || device == INLAY_CUDA, Code::invalid_argument, "device ", device, " does not exist");
           if (device == INLAY_CUDA) Device::cuda();
         }) == INLAY_OK;
}

inlay_status inlay_model_load(const char* path, const inlay_model_options* options, inlay_model** model) {
  return guarded([&] {
    require_given(path, "path"), require_given(model, "model");
    Prepared p = prepare(options);
    const BudgetScope budget(std::make_shared<Budget>(p.compile.max_memory_bytes));
    finish(load_model(path, p.given.copy ? LoadMode::copy : LoadMode::map), std::move(p), model);
  });
}

inlay_status inlay_model_load_memory(const void* data, size_t size, void (*release)(void* user), void* user,
                                     const inlay_model_options* options, inlay_model** model) {
  Released released{release, user};
  return guarded([&] {
    require_given(data, "data"), require_given(model, "model");
    Prepared p = prepare(options);
    const BudgetScope budget(std::make_shared<Budget>(p.compile.max_memory_bytes));
    std::span file(static_cast<const std::byte*>(data), size);
    std::shared_ptr<const void> owner;
    if (reinterpret_cast<uintptr_t>(data) % 64 || p.given.copy) {
      auto copy = std::make_shared<kernels::os::Memory>(kernels::os::Memory::allocate(std::max<size_t>(size, 1)));
      require(bool(*copy), Code::out_of_memory, "cannot allocate ", size, " bytes for a copy of the model");
      std::memcpy(copy->data(), data, size);
      file = {copy->data(), size};
      owner = std::move(copy);
    } else {
      auto shared = std::make_shared<Released>();
      shared->user = user;
      shared->release = std::exchange(released.release, nullptr);
      owner = std::move(shared);
    }
    finish(load_model(file, std::move(owner)), std::move(p), model);
  });
}

void inlay_model_retain(inlay_model* model) {
  if (model) model->retain();
}
void inlay_model_release(inlay_model* model) { Release<inlay_model>()(model); }
const char* inlay_model_note(const inlay_model* model) { return model ? model->note.c_str() : ""; }

size_t inlay_model_input_count(const inlay_model* model) { return model ? model->inputs.size() : 0; }
size_t inlay_model_output_count(const inlay_model* model) { return model ? model->outputs.size() : 0; }

namespace {
inlay_status info_of(const inlay_model* model, std::vector<inlay_model::Info> inlay_model::*list, const char* what, size_t index,
                     inlay_value_info* info) {
  return guarded([&] {
    require_given(model, "model");
    const auto& infos = model->*list;
    require(index < infos.size(), Code::invalid_argument, "there is no ", what, " ", index, "; the model has ", infos.size());
    write_info(info, infos[index].info, INLAY_SIZE_UP_TO(inlay_value_info, image), "inlay_value_info");
  });
}
}  // namespace
inlay_status inlay_model_input(const inlay_model* model, size_t index, inlay_value_info* info) {
  return info_of(model, &inlay_model::inputs, "input", index, info);
}
inlay_status inlay_model_output(const inlay_model* model, size_t index, inlay_value_info* info) {
  return info_of(model, &inlay_model::outputs, "output", index, info);
}

inlay_status inlay_model_find_input(const inlay_model* model, const char* name, size_t* index) {
  return guarded([&] {
    require_given(model, "model"), require_given(name, "name"), require_given(index, "index");
    *index = model->model->find_input(name);
  });
}
inlay_status inlay_model_find_output(const inlay_model* model, const char* name, size_t* index) {
  return guarded([&] {
    require_given(model, "model"), require_given(name, "name"), require_given(index, "index");
    *index = model->model->find_output(name);
  });
}
