#include "engine/frame.h"
#include <algorithm>
#include <chrono>
#include "kernels/threads.h"

namespace engine {
void Arena::reserve(int64_t bytes) {
  if (int64_t(memory.size()) >= bytes) return;
  memory = {};
  ++moves;
  charge.set(bytes);
  memory = kernels::os::Memory::allocate(size_t(bytes));
  require(bool(memory), Code::out_of_memory, "cannot allocate an arena of ", bytes, " bytes");
}

Frame::Frame(std::shared_ptr<PlanCache> cache, const RunOptions& options, Arena* shared)
    : cache_(std::move(cache)), options_(options), arena_(shared ? shared : &own_), redirects_(cache_->graph().outputs.size()), placed_(cache_->graph().inputs.size()) {}

int64_t Frame::arena_bytes() const {
  int64_t bytes = int64_t(own_.memory.size()) + int64_t(shared_by_bodies_.memory.size());
  for (const auto& body : bodies_) bytes += body->arena_bytes();
  return bytes + (tail_ ? tail_->arena_bytes() : 0);
}

int64_t Frame::arena_lower_bound() const {
  int64_t largest_body = 0;
  for (const auto& body : bodies_) largest_body = std::max(largest_body, body->arena_lower_bound());
  return (plan_ ? plan_->arena_lower_bound : 0) + largest_body + (tail_ ? tail_->arena_lower_bound() : 0);
}

std::vector<const Plan*> Frame::plans() const {
  std::vector<const Plan*> all;
  if (plan_) all.push_back(plan_.get());
  const auto add = [&](const Frame& inside) {
    const auto plans = inside.plans();
    all.insert(all.end(), plans.begin(), plans.end());
  };
  for (const auto& body : bodies_) add(*body);
  if (tail_) add(*tail_);
  return all;
}

const Plan& Frame::prepare(std::span<const ConstView> inputs) {
  if (!plan_ || !accepts(*plan_, inputs)) adopt(cache_->get(inputs, {options_.pool, options_.threads}));
  if (plan_->bounded) bind_extents(inputs);
  if (addresses_stale_ || bound_moves_ != arena_->moves) bind_addresses();
  return *plan_;
}

void Frame::adopt(std::shared_ptr<const Plan> plan) {
  plan_ = nullptr;  // stays so if this throws
  is_bound_ = false;
  tail_ = nullptr;
  device_ = std::ranges::any_of(plan->steps, &Step::on_device) ? std::make_unique<DeviceFrame>(cache_->options().device, options_.stream) : nullptr;
  const size_t values = plan->values.size();
  shapes_.assign(values, {});
  symbols_.clear(), open_extents_.clear();
  for (size_t v = 0; v < values; ++v) {
    const Type& type = plan->values[v].type;
    if (!type.is_tensor() || !type.placeable()) continue;
    shapes_[v] = type.largest();
    for (size_t i = 0; i < type.dims.size(); ++i)
      if (!type.dims[i].known()) open_extents_.push_back({v, i});
  }
  for (const Type& type : plan->inputs)
    for (const Dim& dim : type.dims)
      if (!dim.name().empty() && std::ranges::none_of(symbols_, [&](const Symbol& s) { return *s.name == dim.name(); })) symbols_.push_back({&dim.name(), 0});
  objects_.resize(plan->objects);
  bodies_.clear();
  contexts_.assign(plan->steps.size(), {});
  for (size_t s = 0; s < plan->steps.size(); ++s) {
    const Step& step = plan->steps[s];
    RunContext& context = contexts_[s];
    context.in_.resize(step.inputs.size());
    context.out_.resize(step.outputs.size());
    for (const auto& body : step.bodies) {
      bodies_.push_back(std::make_unique<Frame>(body, options_, &shared_by_bodies_));
      context.bodies_.push_back(bodies_.back().get());
    }
  }
  if (plan->tail) tail_ = std::make_unique<Frame>(plan->tail, options_);
  outputs_.assign(plan->outputs.size(), {});
  crossing_.assign(plan->crossing.size(), {});
  addresses_stale_ = true;
  plan_ = std::move(plan);
}

// Gives each symbol of a bounded plan the extent that the inputs have now. The views of steps look at shapes_.
void Frame::bind_extents(std::span<const ConstView> inputs) {
  bool same = is_bound_;
  for (size_t k = 0; same && k < inputs.size(); ++k) same = std::ranges::equal(bound_[k], inputs[k].shape);
  if (same) return;
  is_bound_ = false;  // stays so if this throws
  constexpr int64_t none = -1;
  for (Symbol& symbol : symbols_) symbol.extent = none;
  const auto find = [&](const std::string& name) { return std::ranges::find_if(symbols_, [&](const Symbol& s) { return *s.name == name; }); };
  for (size_t k = 0; k < inputs.size(); ++k) {
    const Dims& dims = plan_->inputs[k].dims;
    for (size_t i = 0; i < dims.size(); ++i) {
      if (dims[i].name().empty()) continue;
      int64_t& extent = find(dims[i].name())->extent;
      require(extent == none || extent == inputs[k].shape[i], Code::invalid_argument, "symbol '", dims[i].name(), "' is ", extent,
              " in one input and ", inputs[k].shape[i], " in input ", k);
      extent = inputs[k].shape[i];
    }
  }
  const auto lookup = [&](const std::string& name) -> std::optional<int64_t> {
    const auto it = find(name);
    return it == symbols_.end() ? std::nullopt : std::optional(it->extent);
  };
  for (const auto [v, i] : open_extents_) {
    const Dim extent = plan_->values[v].type.dims[i].bind(lookup);
    require(extent.known() && extent.value() >= 0, Code::invalid_argument, "extent ", extent.text(), " is not known");
    shapes_[v][i] = extent.value();
  }
  bound_.resize(inputs.size());
  for (size_t k = 0; k < inputs.size(); ++k) bound_[k].assign(inputs[k].shape.begin(), inputs[k].shape.end());
  is_bound_ = true;
  const bool redirected = std::ranges::any_of(redirects_, [](const Redirect& r) { return r.data != nullptr; });  // to memory that may be too small now
  addresses_stale_ |= redirected || !objects_.empty();
}

void Frame::bind_addresses() {
  const Plan& plan = *plan_;
  arena_->reserve(plan.arena_bytes());
  if (device_) device_->reserve(plan);
  addresses_.assign(plan.values.size(), nullptr);
  moved_.assign(plan.values.size(), nullptr);  // by root
  pitches_.assign(plan.values.size(), 0);
  bind_device();
  for (size_t k = 0; k < redirects_.size(); ++k) {
    if (!redirects_[k].data || redirects_[k].on_device || plan.outputs[k].from_tail) continue;
    const PlannedValue& out = plan.values[plan.outputs[k].index];
    const PlannedValue& root = plan.values[out.root];  // more than the output, if that is a part of something
    if (out.place.kind != Place::arena || moved_[out.root] || largest_bytes(root.type) != largest_bytes(out.type)) continue;
    const Shape& shape = shapes_[plan.outputs[k].index];
    if (const int64_t pitch = redirects_[k].pitch) {
      const int64_t matrix = shape.end()[-1] * shape.end()[-2], matrices = matrix ? elements(shape) / matrix : 0;
      if (matrix > pitch || matrices * pitch * bits_of(out.type.dtype) / 8 > redirects_[k].bytes || std::ranges::none_of(plan.growing, [&](const Plan::Growing& g) { return g.output == k; })) continue;
      pitches_[plan.outputs[k].index] = pitch;
    } else if (redirects_[k].bytes < bytes_of(out.type.dtype, shape)) {
      continue;
    }
    moved_[out.root] = redirects_[k].data;
  }
  for (size_t v = 0; v < plan.values.size(); ++v) {
    const Place& place = plan.values[v].place;
    if (place.kind == Place::constant) addresses_[v] = const_cast<std::byte*>(place.data);
    if (place.kind != Place::arena && place.kind != Place::device) continue;
    const uint32_t root = plan.values[v].root;
    std::byte* const own = place.kind == Place::device ? device_->arena() : arena();
    addresses_[v] = moved_[root] ? moved_[root] + (place.offset - plan.values[root].place.offset) : own + place.offset;
  }
  input_views_.resize(plan.inputs.size());
  for (auto& views : input_views_) views.clear();
  for (size_t s = 0; s < plan.steps.size(); ++s) {
    const Step& step = plan.steps[s];
    RunContext& c = contexts_[s];
    c.scratch_ = arena() + step.scratch_offset;
    c.pool_ = options_.pool;
    c.threads_ = step.threads ? std::min(step.threads, options_.threads) : options_.threads;
    c.stop_ = options_.stop;
    for (size_t k = 0; k < step.outputs.size(); ++k) {
      const uint32_t v = step.outputs[k];
      const PlannedValue& value = plan.values[v];
      View view{value.type.dtype, shapes_[v], addresses_[v], nullptr, pitches_[v]};
      if (value.place.kind == Place::object) {
        Object& object = objects_[value.place.index];
        view = value.type.is_tensor() && !value.found_at_run ? object.set_tensor(value.type.dtype, shapes_[v]) : View{value.type.dtype, {}, nullptr, &object};
      }
      c.out_[k] = {view, true, value.found_at_run};
    }
    for (size_t k = 0; k < step.inputs.size(); ++k) {
      if (step.inputs[k] == Step::absent) {
        c.in_[k] = {{}, false};
        continue;
      }
      c.in_[k] = {view(step.inputs[k], {}), true};
      const Place& place = plan.values[step.inputs[k]].place;
      if (place.kind == Place::input) input_views_[place.index].push_back(&c.in_[k].view);
    }
  }
  if (device_) device_->bind(plan, contexts_);
  addresses_stale_ = false;
  bound_moves_ = arena_->moves;
}

// Where values of the device lie that the application has placed there, by root. An input of its is read in place unless a step
// writes there; a result goes to its memory where that is all the result is.
void Frame::bind_device() {
  const Plan& plan = *plan_;
  for (Placed& placed : placed_) placed.host_reads = false;
  const auto input_of = [&](uint32_t v) { return v != Step::absent && plan.values[v].place.kind == Place::input ? &placed_[plan.values[v].place.index] : nullptr; };
  for (const Step& step : plan.steps) {
    const bool upload = step.on_device && step.op.get_if<schema::DeviceCopy>();
    for (uint32_t v : step.inputs)
      if (Placed* placed = input_of(v); placed && !upload) placed->host_reads = true;
  }
  for (const Plan::Output& out : plan.outputs)
    if (Placed* placed = out.from_tail ? nullptr : input_of(out.index)) placed->host_reads = true;
  for (uint32_t v : plan.crossing)
    if (Placed* placed = input_of(v)) placed->host_reads = true;
  if (!device_) return;
  const auto whole = [&](uint32_t v) { return largest_bytes(plan.values[v].type) == largest_bytes(plan.values[plan.values[v].root].type); };
  // Whether anybody reads a copy to the host, beside one output of the plan.
  const auto host_wants = [&](uint32_t copied) {
    const auto same = [&](uint32_t v) { return v != Step::absent && plan.values[v].root == plan.values[copied].root; };
    const auto outputs = std::ranges::count_if(plan.outputs, [&](const Plan::Output& out) { return !out.from_tail && same(out.index); });
    return outputs > 1 || std::ranges::any_of(plan.crossing, same) || std::ranges::any_of(plan.steps, [&](const Step& step) { return std::ranges::any_of(step.inputs, same); });
  };
  std::vector<const std::byte*> places(plan.steps.size(), nullptr);  // by copy: the other end of it, on the device
  for (size_t s = 0; s < plan.steps.size(); ++s) {
    const auto* copy = plan.steps[s].op.get_if<schema::DeviceCopy>();
    if (!copy || !plan.steps[s].on_device) continue;
    const uint32_t from = plan.steps[s].inputs[0], to = plan.steps[s].outputs[0];
    if (copy->to_device) {
      const Placed* placed = input_of(from);
      if (!placed || !placed->on_device) continue;
      places[s] = placed->on_device;
      const auto writes = [&](const Step& step) { return std::ranges::any_of(step.outputs, [&](uint32_t v) { return plan.values[v].root == plan.values[to].root; }); };
      if (whole(to) && std::ranges::count_if(plan.steps, writes) == 1) moved_[plan.values[to].root] = const_cast<std::byte*>(placed->on_device);
      continue;
    }
    for (size_t k = 0; k < redirects_.size(); ++k) {
      const Redirect& redirect = redirects_[k];
      if (!redirect.data || !redirect.on_device || plan.outputs[k].from_tail || plan.values[plan.outputs[k].index].root != plan.values[to].root || !whole(to)) continue;
      if (redirect.bytes < bytes_of(plan.values[to].type.dtype, shapes_[to]) || host_wants(to)) continue;
      places[s] = redirect.data;
      moved_[plan.values[to].root] = redirect.data;  // the result of the copy, which the host does not read
      const bool free = whole(from) && !moved_[plan.values[from].root];
      if (free) moved_[plan.values[from].root] = redirect.data;
    }
  }
  device_->place_copies(places);
}

// Inputs on the device that the host reads.
void Frame::fetch_inputs(std::span<const ConstView> inputs) {
  fetched_.assign(inputs.begin(), inputs.end());
  for (size_t k = 0; k < inputs.size(); ++k) {
    Placed& placed = placed_[k];
    if (!placed.on_device || !placed.host_reads) continue;
    placed.on_host.resize(size_t(inputs[k].bytes()));
    cache_->options().device->download(placed.on_host.data(), placed.on_device, placed.on_host.size());
    fetched_[k].data = placed.on_host.data();
  }
}

void Frame::place_input(size_t k, const std::byte* on_device) {
  if (placed_[k].on_device == on_device) return;
  placed_[k].on_device = on_device;
  addresses_stale_ = true;
}

void Frame::change_stream() {
  if (!device_) return;
  device_ = std::make_unique<DeviceFrame>(cache_->options().device, options_.stream);
  addresses_stale_ = true;
}

// What a value is now. An input's view has the value's shape, which may be another one of the same bytes.
ConstView Frame::view(uint32_t v, std::span<const ConstView> inputs) const {
  const PlannedValue& value = plan_->values[v];
  if (value.place.kind == Place::object) return objects_[value.place.index].view();
  ConstView view{value.type.dtype, shapes_[v], addresses_[v], nullptr, pitches_[v]};
  if (value.place.kind == Place::input && !inputs.empty()) {
    view.data = inputs[value.place.index].data;
    view.object = inputs[value.place.index].object;
  }
  return view;
}

void Frame::redirect(size_t k, std::byte* data, int64_t bytes, bool on_device, int64_t pitch) {
  const Redirect to{data, bytes, on_device, pitch};
  if (redirects_[k] == to) return;
  redirects_[k] = to;
  addresses_stale_ = true;
}

std::span<const ConstView> Frame::run(std::span<const ConstView> inputs) {
  if (const auto& budget = Budget::current()) budget->spend(1000);  // a loop's body may have no steps
  prepare(inputs);
  if (std::ranges::any_of(placed_, [](const Placed& p) { return p.on_device != nullptr; })) {
    fetch_inputs(inputs);
    inputs = fetched_;
  }
  for (size_t k = 0; k < inputs.size(); ++k)
    for (ConstView* view : input_views_[k]) view->data = inputs[k].data, view->object = inputs[k].object, view->pitch = inputs[k].pitch;
  run_steps();
  std::span<const ConstView> rest;
  if (tail_) {
    for (size_t k = 0; k < crossing_.size(); ++k) crossing_[k] = view(plan_->crossing[k], inputs);
    for (size_t k = 0, t = 0; k < plan_->outputs.size(); ++k)
      if (plan_->outputs[k].from_tail) tail_->redirect(t++, redirects_[k].data, redirects_[k].bytes, redirects_[k].on_device);
    rest = tail_->run(crossing_);
  }
  for (size_t k = 0; k < outputs_.size(); ++k) {
    const Plan::Output& out = plan_->outputs[k];
    outputs_[k] = out.from_tail ? rest[out.index] : view(out.index, inputs);
  }
  return outputs_;
}

void Frame::run_steps() {
  size_t s = 0;
  const std::vector<Step>& steps = plan_->steps;
  Budget* const budget = Budget::current().get();
  try {
    const auto before_step = [&] {
      if (options_.stop) options_.stop->check();
      if (budget) budget->spend(steps[s].work);
    };
    if (!options_.observer) {
      while (s < steps.size()) {
        before_step();
        if (steps[s].on_device) {
          const size_t end = device_->run(*plan_, s, contexts_);
          while (++s < end) before_step();
          continue;
        }
        steps[s].run(contexts_[s]);
        ++s;
      }
      return;
    }
    using Clock = std::chrono::steady_clock;
    for (; s < steps.size(); ++s) {
      before_step();
      const auto start = Clock::now();
      if (steps[s].on_device) {
        options_.observer(*plan_, s, device_->timed(*plan_, s, contexts_[s]), contexts_[s]);
        continue;
      }
      steps[s].run(contexts_[s]);
      options_.observer(*plan_, s, std::chrono::duration<double>(Clock::now() - start).count(), contexts_[s]);
    }
  } catch (const Error& e) {
    fail(e.code, to_text(steps[s].origins), ": ", name(steps[s].op.id()), ": ", e.what());
  } catch (const std::bad_alloc&) {
    fail(Code::out_of_memory, to_text(steps[s].origins), ": ", name(steps[s].op.id()), ": out of memory");
  }
}
}  // namespace engine
