// compile(): from a graph and input types to a plan.
#include <algorithm>
#include <climits>
#include <cstring>
#include "engine/custom.h"
#include "engine/kept.h"
#include "engine/passes/target.h"
#include "engine/plan.h"
#include "engine/shape.h"
#include "engine/tuning.h"
#include "kernels/code.h"
#include "kernels/tile/tile.h"

namespace engine {
namespace {
// What lives outside the arena: anything but tensors, strings, and tensors whose size only the run tells.
bool in_object(const Type& type) { return !type.is_tensor() || type.dtype == DType::string || !type.placeable(); }
Types at_bounds(const Graph& graph, const ValueIds& values) {
  Types types = types_of(graph, values);
  for (Type& t : types)
    if (t.is_tensor() && t.placeable() && !t.determined()) t = Type::tensor(t.dtype, t.largest());
  return types;
}

// What a step of several nodes computes; what it reads and writes is another matter.
Cost body_cost(const Graph& body) {
  Cost sum;
  for (const Node& node : body.nodes) {
    const Cost c = node.op.get_if<schema::Fused>() ? body_cost(*node.bodies[0]) : cost(node.op, types_of(body, node.inputs), types_of(body, node.outputs));
    sum.flops += c.flops, sum.border += c.border;
  }
  return sum;
}

class Compiler {
 public:
  // `alias`: values may lie inside others. `alone`: see LowerContext.
  Compiler(const Graph& graph, const CompileOptions& options, Plan& plan, bool alias, bool alone, Workers workers)
      : graph_(graph),
        options_(options),
        alone_(alone),
        target_{options.device, false, options.rounding()},
        on_device_(options.device ? nodes_on_device(graph) : std::vector<bool>(graph.nodes.size())),
        plan_(plan),
        workers_(workers),
        index_(graph.values.size(), Step::absent),
        inside_(alias ? alias_parts(graph) : std::vector<Inside>(graph.values.size())),
        kept_(kept_types(graph, on_device_, inside_, target_, options)) {}

  // False: some step has no kernel for values that lie inside others.
  bool run() {
    for (size_t k = 0; k < graph_.inputs.size(); ++k)
      plan_.values[add(graph_.inputs[k])].place = {Place::input, uint32_t(k), 0, nullptr};
    for (NodeId n : schedule(graph_)) add_step(n);
    lower_steps();
    for (size_t s = 0; s < plan_.steps.size(); ++s)
      if (!finish_step(s)) return false;
    for (const GraphOutput& out : graph_.outputs) outputs_.push_back(value(out.value));
    find_roots();
    find_lifetimes();
    share_in_place();
    place(Place::arena, plan_.buffers, plan_.memory);
    place(Place::device, plan_.device_buffers, plan_.device_memory);
    place_views();
    return true;
  }
  const std::vector<uint32_t>& outputs() const { return outputs_; }
  // What is left when it went well: packs the weights, and sets the threads of steps that were measured.
  void complete() {
    plan_.packed = packing_.finish(workers_);
    if (!options_.all_threads) choose_threads(plan_);
    for (size_t s = 0; s < plan_.steps.size(); ++s)
      if (const TunedChoice* tuned = lowering_[s].tuned; tuned && tuned->threads != TunedChoice::as_planned)
        plan_.steps[s].threads = tuned->threads == TunedChoice::one ? 1 : 0;
  }

 private:
  struct Lowering {
    const Node* node;
    bool takes, determined;  // a kernel may take it; all types are determined
    std::optional<Lowered> lowered;
    Packing packing;
    const TunedChoice* tuned;  // null: as planned
  };

  uint32_t add(ValueId v) {
    const uint32_t i = uint32_t(plan_.values.size());
    index_[size_t(v)] = i;
    const Type& type = graph_[v].type;
    plan_.values.push_back({type, {}, !type.placeable(), i, kept_.empty() ? type.dtype : kept_[size_t(v)]});
    if (graph_[v].producer != NodeId::none && makes_on_device(graph_[v].producer)) plan_.values[i].place.kind = Place::device;
    if (in_object(type)) plan_.values[i].place = {Place::object, uint32_t(plan_.objects++), 0, nullptr};
    plan_.bounded |= type.placeable() && !type.determined();
    parent_.push_back(i), offset_.push_back(0);
    return i;
  }

  uint32_t value(ValueId v) {
    if (v == ValueId::none) return Step::absent;
    if (index_[size_t(v)] != Step::absent) return index_[size_t(v)];
    const ConstantPtr& constant = graph_[v].constant;
    require(constant != nullptr, Code::invalid_model, "value '", graph_[v].name, "' has no producer");
    const uint32_t i = add(v);
    plan_.values[i].place = {Place::constant, uint32_t(plan_.constants.size()), 0, constant->data};
    plan_.constants.push_back(constant);
    return i;
  }

  Inside inside(ValueId v) const { return inside_[size_t(v)]; }

  // Nothing is left to do: output 0 lies in its input, or all inputs lie in output 0.
  bool vanishes(const Node& node) const {
    return is_alias(node.op) ? !in_object(graph_[node.outputs[0]].type) : lies_in_place(node, inside_);
  }

  // A copy to the host is the device's step.
  bool makes_on_device(NodeId n) const {
    const auto* copy = graph_[n].op.get_if<schema::DeviceCopy>();
    return copy ? copy->to_device : on_device_[size_t(n)];
  }

  void add_step(NodeId n) {
    const Node& node = graph_[n];
    Step step{"reference", node.op, node.origins, {}, {}, {}, 0, 0, {}, {}, 0, on_device_[size_t(n)]};
    for (ValueId v : node.inputs) {
      step.inputs.push_back(value(v));
      if (v == ValueId::none) continue;
      // specialise() cuts there; a target pass must not put a reader back.
      const PlannedValue& read = plan_.values[step.inputs.back()];
      if (read.found_at_run && read.type.is_tensor() && read.place.kind == Place::object)
        fail(Code::internal, to_text(node.origins), ": reads a tensor whose size its own plan finds");
    }
    for (ValueId v : node.outputs) step.outputs.push_back(add(v));
    if (vanishes(node)) {
      if (is_alias(node.op)) parent_[step.outputs[0]] = step.inputs[0];
      return;
    }
    const Types in = at_bounds(graph_, node.inputs), out = at_bounds(graph_, node.outputs);
    step.cost = cost(node.op, in, out);
    step.work = work_of(step.cost, in, out);
    if (node.op.get_if<schema::Fused>()) {
      const Cost inside = body_cost(*node.bodies[0]);
      step.cost.flops = inside.flops, step.cost.border = inside.border;
      step.work = std::max(step.work, step.cost.flops);
    }
    plan_.steps.push_back(std::move(step));
    const auto all = [&](bool (Type::*is)() const) {
      const auto of = [&](ValueId v) { return v == ValueId::none || (graph_[v].type.*is)(); };
      return std::ranges::all_of(node.inputs, of) && std::ranges::all_of(node.outputs, of);
    };
    const bool determined = all(&Type::determined);
    lowering_.push_back({&node, !options_.reference_only && (determined || (lowers_bounded(node.op) && !plan_.steps.back().on_device && all(&Type::placeable))), determined, {}, {}, nullptr});
  }

  // Asks for the kernel of a step. Steps are lowered side by side.
  void lower_step(size_t s) {
    Lowering& to = lowering_[s];
    const Step& step = plan_.steps[s];
    const LowerContext context{
        graph_,       *to.node,
        options_.isa, options_.strict,
        inside_,      step.on_device ? &target_ : nullptr,
        &to.packing,  options_.device || options_.strict ? kernels::Precision::f32 : options_.rounding(),
        kept_,        alone_};
    std::optional<kernels::RefusalLog> log;
    if (options_.keep_refusals) log.emplace(plan_.refusals[s]);
    if (options_.keep_refusals && options_.device && !step.on_device) explain_placement(graph_, *to.node, {options_.device, true, options_.rounding()});
    if (!to.takes) return;
    if (to.determined && !plan_.keys.empty()) plan_.keys[s] = Tuning::key_of(context);
    to.tuned = to.determined && options_.tuned ? options_.tuned->find(plan_.keys[s]) : nullptr;
    const kernels::RowPreference row(to.tuned ? to.tuned->kernel : std::string_view());
    const kernels::tile::PanelPreference panel(to.tuned ? to.tuned->panel : 0);
    to.lowered = lower(context);
  }

  void lower_steps() {
    kernels::jit::Batch code;
    if (options_.keep_refusals) plan_.refusals.resize(plan_.steps.size());
    if (options_.keep_refusals || options_.tuned) plan_.keys.resize(plan_.steps.size());
    run_all(options_.device ? Workers{} : workers_, int64_t(plan_.steps.size()), [&](int64_t s) {
      const kernels::jit::Batch::Scope generates(code);
      lower_step(size_t(s));
    });
    require(code.seal(), Code::out_of_memory, "executable memory is denied");
  }

  // False: it has no kernel for values that lie inside others.
  bool finish_step(size_t s) {
    Step& step = plan_.steps[s];
    Lowering& from = lowering_[s];
    const Node& node = *from.node;
    int64_t scratch = 0;
    if (from.lowered) {
      step.kernel = from.lowered->kernel, step.run = std::move(from.lowered->run), scratch = from.lowered->scratch;
    } else {
      if (step.on_device) fail(Code::internal, to_text(node.origins), ": is placed where no kernel takes it");
      const auto pitched = [&](ValueId v) { return v != ValueId::none && inside(v).pitch; };
      if (std::ranges::any_of(node.inputs, pitched) || std::ranges::any_of(node.outputs, pitched)) return false;
      CompileOptions inner = options_;
      inner.of_body = true;
      for (const auto& body : node.bodies) step.bodies.push_back(std::make_shared<PlanCache>(*body, inner));
      step.run = [op = node.op](RunContext& c) { reference(op, c); };
    }
    packing_.append(std::move(from.packing));
    scratch_.push_back(scratch), inplace_.push_back(inplace_input(node));
    return true;
  }

  // Bytes of a value, as it is kept.
  static int64_t in_memory(const PlannedValue& v, int64_t bytes) { return v.kept == v.type.dtype ? bytes : bytes / bits_of(v.type.dtype) * bits_of(v.kept); }

  // Follows each value to the one whose bytes it shares, and adds up where in them it starts.
  void find_roots() {
    for (size_t v = 0; v < inside_.size(); ++v)
      if (inside_[v].whole != ValueId::none && index_[v] != Step::absent)
        parent_[index_[v]] = index_[size_t(inside_[v].whole)], offset_[index_[v]] = in_memory(plan_.values[index_[v]], inside_[v].offset);
    root_.resize(parent_.size());
    for (uint32_t v = 0; v < parent_.size(); ++v) {
      uint32_t root = v;
      int64_t offset = 0;
      for (; parent_[root] != root; root = parent_[root]) offset += offset_[root];
      root_[v] = root, from_root_.push_back(offset);
    }
  }

  void find_lifetimes() {
    life_.assign(plan_.values.size(), {0, INT_MAX, 0});
    for (size_t s = 0; s < plan_.steps.size(); ++s) {
      for (uint32_t v : plan_.steps[s].outputs) life_[root_[v]].first = std::min(life_[root_[v]].first, int(s)), life_[root_[v]].last = int(s);
      for (uint32_t v : plan_.steps[s].inputs)
        if (v != Step::absent) life_[root_[v]].last = int(s);
    }
    for (uint32_t v : outputs_) life_[root_[v]].last = int(plan_.steps.size());
    for (uint32_t v = 0; v < life_.size(); ++v)
      if (root_[v] == v && (plan_.values[v].place.kind == Place::arena || plan_.values[v].place.kind == Place::device)) life_[v].size = size_t(in_memory(plan_.values[v], largest_bytes(plan_.values[v].type)));
  }

  // An elementwise step takes the buffer of an input that nobody reads after it.
  void share_in_place() {
    for (size_t s = 0; s < plan_.steps.size(); ++s) {
      const Step& step = plan_.steps[s];
      const int k = inplace_[s];
      if (k < 0 || size_t(k) >= step.inputs.size() || step.inputs[k] == Step::absent) continue;
      const uint32_t from = root_[step.inputs[k]], to = step.outputs[0];
      const Place::Kind kind = plan_.values[to].place.kind;
      if (plan_.values[from].place.kind != kind || (kind != Place::arena && kind != Place::device)) continue;
      if (life_[from].last != int(s) || life_[from].size != life_[to].size) continue;
      if (plan_.values[step.inputs[k]].type.dims != plan_.values[to].type.dims) continue;
      if (std::ranges::count_if(step.inputs, [&](uint32_t v) { return v != Step::absent && root_[v] == from; }) > 1) continue;
      for (uint32_t& root : root_)
        if (root == to) root = from;
      life_[from].last = life_[to].last;
    }
  }

  // The buffers of the host's arena, or of the device's.
  void place(Place::Kind kind, std::vector<Buffer>& buffers, MemoryPlan& memory) {
    std::vector<uint32_t> owner;
    for (uint32_t v = 0; v < plan_.values.size(); ++v)
      if (root_[v] == v && plan_.values[v].place.kind == kind) buffers.push_back(life_[v]), owner.push_back(v);
    const size_t values = owner.size();
    for (size_t s = 0; s < plan_.steps.size(); ++s)
      if (scratch_[s] > 0 && plan_.steps[s].on_device == (kind == Place::device)) buffers.push_back({size_t(scratch_[s]), int(s), int(s)}), owner.push_back(uint32_t(s));
    memory = plan_memory(buffers, arena_alignment);
#ifndef NDEBUG
    require(valid(memory, buffers, arena_alignment), Code::invalid_model, "the memory plan is not valid");
#endif
    for (size_t i = 0; i < owner.size(); ++i) {
      if (i < values) plan_.values[owner[i]].place.offset = int64_t(memory.offset[i]);
      else plan_.steps[owner[i]].scratch_offset = int64_t(memory.offset[i]);
      if (kind == Place::arena) plan_.arena_without_reuse += int64_t((buffers[i].size + arena_alignment - 1) / arena_alignment * arena_alignment);
    }
    require(int64_t(memory.arena_size) <= options_.max_arena_bytes, Code::limit, "the arena would have ", memory.arena_size, " bytes, more than the cap of ",
            options_.max_arena_bytes);
  }

  void place_views() {
    for (uint32_t v = 0; v < plan_.values.size(); ++v) {
      plan_.values[v].root = root_[v];
      if (plan_.values[v].place.kind == Place::object) continue;
      plan_.values[v].place = plan_.values[root_[v]].place;
      plan_.values[v].place.offset += from_root_[v];
    }
    plan_.arena_lower_bound = int64_t(lower_bound(plan_.buffers, arena_alignment));
  }

  const Graph& graph_;
  const CompileOptions& options_;
  const bool alone_;
  const DeviceTarget target_;
  const std::vector<bool> on_device_;  // by node of the graph
  Plan& plan_;
  const Workers workers_;
  Packing packing_;
  std::vector<Lowering> lowering_;  // by step
  std::vector<uint32_t> index_;  // of a graph's value among the plan's
  std::vector<Inside> inside_;   // by value of the graph
  std::vector<DType> kept_;      // by value of the graph; empty: as their types say
  std::vector<uint32_t> parent_;  // the value that a plan's value lies in, from this offset on; itself
  std::vector<int64_t> offset_;
  std::vector<uint32_t> root_;   // the value whose bytes a plan's value shares, from this offset on
  std::vector<int64_t> from_root_;
  std::vector<uint32_t> outputs_;
  std::vector<int64_t> scratch_;  // by step
  std::vector<int> inplace_;      // by step: the input whose buffer the output may take, or -1
  std::vector<Buffer> life_;      // by root
};

// See Plan::growing.
bool grows(const Plan& plan, const State& state) {
  const Plan::Output& out = plan.outputs[state.output];
  if (out.from_tail) return false;
  const PlannedValue& to = plan.values[out.index];
  if (to.place.kind != Place::arena || to.type.determined()) return false;
  std::optional<uint32_t> from;
  for (uint32_t v = 0; v < plan.values.size(); ++v) {
    if (v != out.index && plan.values[v].root == to.root) return false;
    if (plan.values[v].place.kind != Place::input || plan.values[v].place.index != state.input) continue;
    if (from) return false;  // another shape of it
    from = v;
  }
  const auto same = [&](const Plan::Output& o) { return !o.from_tail && (o.index == from || o.index == out.index); };
  if (!from || std::ranges::count_if(plan.outputs, same) != 1) return false;
  if (std::ranges::any_of(plan.crossing, [&](uint32_t v) { return v == from || v == out.index; })) return false;
  int64_t makers = 0;
  for (const Step& step : plan.steps) {
    const int64_t rank = to.type.rank();
    const bool makes = step.op.get_if<schema::Concat>() && step.outputs[0] == out.index;
    makers += makes && step.inputs[0] == from;
    for (size_t k = 0; k < step.inputs.size(); ++k) {
      const bool old = step.inputs[k] == from;
      if (!old && step.inputs[k] != out.index) continue;
      if ((old && (!makes || k)) || step.kernel == "reference" || !takes_room(step.op, rank, int(k))) return false;
    }
    if (std::ranges::count(step.outputs, out.index) && (!makes || step.kernel == "reference" || !takes_room(step.op, rank, -1))) return false;
  }
  return makers == 1;
}
}  // namespace

double work_of(const Op& op, std::span<const Type> in, std::span<const Type> out) {
  return work_of(cost(op, in, out), in, out);
}

double work_of(const Cost& c, std::span<const Type> in, std::span<const Type> out) {
  double most = std::max({c.flops, c.bytes, 1000.0});
  for (const auto types : {in, out})
    for (const Type& t : types) {
      double turns = 1;
      for (const Dim& d : t.dims) turns *= double(std::max<int64_t>(1, d.known() ? d.value() : 1));
      most = std::max(most, turns);
    }
  return most;
}

void require_precision(const CompileOptions& o) {
  using kernels::Precision;
  if (o.rounding() == Precision::f32 || o.device) return;
  require(o.rounding() == Precision::f16, Code::invalid_argument, "the CPU rounds operands to fp16, and to nothing else");
  require(kernels::isa::runs(kernels::isa::neon_fp16, o.isa), Code::unsupported, "fp16 on a CPU needs its arithmetic in half precision (",
          kernels::isa::name(kernels::isa::neon_fp16), "); here it has ", kernels::isa::name(o.isa));
}

Plan compile(const Graph& graph, const Types& inputs, const CompileOptions& options, Workers workers,
             std::span<const ConstantPtr> values) {
  require(inputs.size() == graph.inputs.size(), Code::invalid_argument, "expects ", graph.inputs.size(), " inputs, not ", inputs.size());
  for (size_t k = 0; k < inputs.size(); ++k) {
    const Value& declared = graph[graph.inputs[k]];
    require(compatible(declared.type, inputs[k]), Code::invalid_argument, "input '", declared.name, "' is ", inputs[k],
            " where the model declares ", declared.type);
  }
  require_custom_ops(graph);
  Specialised parts = specialise(graph, inputs, values);
  if (!options.reference_only) run_target_passes(parts.head, options);
  const bool alone =
      values.empty() && std::ranges::all_of(graph.inputs, [&](ValueId v) { return graph[v].type.determined(); });
  Plan plan;
  std::vector<uint32_t> outputs;
  for (bool alias = !options.reference_only && !options.device;; alias = false) {
    plan = {};
    plan.inputs = inputs, plan.input_values.assign(values.begin(), values.end());
    Compiler compiler(parts.head, options, plan, alias, alone, workers);
    if (!compiler.run()) continue;
    compiler.complete();
    outputs = compiler.outputs();
    break;
  }
  for (const auto& out : parts.outputs) plan.outputs.push_back({out.from_tail, out.from_tail ? uint32_t(out.index) : outputs[out.index]});
  if (!parts.tail.nodes.empty()) {
    for (size_t k : parts.crossing) plan.crossing.push_back(outputs[k]);
    plan.tail = std::make_shared<PlanCache>(std::move(parts.tail), options, std::move(parts.by_value));
  }
  for (const State& s : graph.states)
    if (grows(plan, s)) plan.growing.push_back({uint32_t(s.input), uint32_t(s.output)});
  return plan;
}

bool accepts(const Plan& plan, std::span<const ConstView> inputs) {
  if (inputs.size() != plan.inputs.size()) return false;
  for (size_t k = 0; k < inputs.size(); ++k) {
    const Type& type = plan.inputs[k];
    const ConstView& x = inputs[k];
    if (!type.is_tensor()) {
      if (!x.object || x.object->kind != type.kind) return false;
      continue;
    }
    if ((x.object && x.object->kind != ValueKind::tensor) || x.dtype != type.dtype || x.shape.size() != type.dims.size()) return false;
    for (size_t i = 0; i < x.shape.size(); ++i)
      if (type.dims[i].known() ? type.dims[i].value() != x.shape[i] : x.shape[i] < type.dims[i].lower() || x.shape[i] > type.dims[i].upper()) return false;
    const Constant* value = plan.input_values.empty() ? nullptr : plan.input_values[k].get();
    if (value && value->bytes() && std::memcmp(value->data, x.data, size_t(value->bytes())) != 0) return false;
  }
  return true;
}

namespace {
CompileOptions for_this_machine(CompileOptions options) {
#if defined(__arm__)
  if (options.strict) options.isa = kernels::isa::scalar;  // to its vectors subnormal numbers are zero, whatever the mode
#endif
  return options;
}
}  // namespace

PlanCache::PlanCache(Graph graph, CompileOptions options, std::vector<bool> by_value)
    : graph_(std::move(graph)), options_(for_this_machine(std::move(options))), by_value_(std::move(by_value)) {}

std::shared_ptr<const Plan> PlanCache::get(std::span<const ConstView> inputs, Workers workers) {
  {
    std::scoped_lock lock(mutex_);
    for (auto it = plans_.begin(); it != plans_.end(); ++it)
      if (accepts(**it, inputs)) {
        plans_.splice(plans_.begin(), plans_, it);
        return plans_.front();
      }
  }
  Types types, exact;
  std::vector<ConstantPtr> values(std::ranges::count(by_value_, true) ? inputs.size() : 0);
  for (size_t k = 0; k < values.size(); ++k)
    if (by_value_.at(k)) values[k] = make_constant(inputs[k]);
  for (size_t k = 0; k < inputs.size(); ++k) {
    const ConstView& x = inputs[k];
    const bool tensor = !x.object || x.object->kind == ValueKind::tensor;
    const Type declared = k < graph_.inputs.size() ? graph_[graph_.inputs[k]].type : Type();
    require(tensor == declared.is_tensor(), Code::invalid_argument, "input ", k, " is not the kind of value that ",
            declared, " is");
    if (!tensor) {
      types.push_back(declared), exact.push_back(declared);
      continue;
    }
    Type type = Type::tensor(x.dtype, Shape(x.shape.begin(), x.shape.end()));
    exact.push_back(type);
    if (!exact_.load(std::memory_order_relaxed) && declared.is_tensor() && declared.ranked && declared.rank() == type.rank())
      for (size_t i = 0; i < type.dims.size(); ++i) {
        const Dim& dim = declared.dims[i];
        if (!dim.bounded() || dim.known() || !compatible(declared, type)) continue;
        require(x.shape[i] >= dim.lower() && x.shape[i] <= dim.upper(), Code::invalid_argument, "input '", graph_[graph_.inputs[k]].name, "': extent ", x.shape[i],
                " of '", dim.text(), "' is not from ", dim.lower(), " to ", dim.upper());
        type.dims[i] = dim;
      }
    types.push_back(std::move(type));
  }
  const auto made = [&](const Types& for_types) {
    return std::make_shared<const Plan>(compile(graph_, for_types, options_, workers, values));
  };
  if (types == exact) return keep(made(types));
  // Extents that follow from exact ones may not follow from symbols: of x and y, broadcast together, which one stays?
  // References take sizes that no plan knows only from data.
  const auto found_at_run = [](const Plan& plan) {
    return std::ranges::count_if(plan.values, [](const PlannedValue& v) { return v.found_at_run && v.type.is_tensor(); });
  };
  auto plan = made(types);
  if (const auto count = found_at_run(*plan)) {
    auto other = made(exact);
    if (found_at_run(*other) < count) plan = std::move(other), exact_ = true;
  }
  return keep(std::move(plan));
}

std::shared_ptr<const Plan> PlanCache::get(const Types& inputs, Workers workers) {
  return keep(std::make_shared<const Plan>(compile(graph_, inputs, options_, workers)));
}

std::shared_ptr<PlanCache::Site> PlanCache::Site::at(size_t k) {
  std::scoped_lock lock(mutex);
  auto& site = inside[k];
  if (!site) site = std::make_shared<Site>();
  return site;
}

std::shared_ptr<const Plan> PlanCache::keep(std::shared_ptr<const Plan> plan) {
  size_t k = 0;
  if (plan->tail) plan->tail->site_ = site_->at(k);
  for (const Step& step : plan->steps)
    for (const auto& body : step.bodies) body->site_ = site_->at(++k);
  std::scoped_lock lock(mutex_);
  plans_.push_front(plan), ++site_->kept;
  while (plans_.size() > 1 && site_->kept > limits::plans) plans_.pop_back(), --site_->kept;
  return plan;
}

PlanCache::~PlanCache() { site_->kept -= int64_t(plans_.size()); }

size_t PlanCache::kept() const {
  std::scoped_lock lock(mutex_);
  size_t count = plans_.size();
  for (const auto& plan : plans_) {
    if (plan->tail) count += plan->tail->kept();
    for (const Step& step : plan->steps)
      for (const auto& body : step.bodies) count += body->kept();
  }
  return count;
}
}  // namespace engine
