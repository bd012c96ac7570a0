#include "engine/session.h"
#include <algorithm>
#include "engine/device.h"
#include "kernels/float_mode.h"
#include "kernels/threads.h"

namespace engine {
namespace {
// What of a run, and of the packing of its weights, is the same on every thread.
class RunScope {
 public:
  RunScope(const std::shared_ptr<Budget>& budget, const CompileOptions& options)
      : budget_(budget), mode_(options.strict ? kernels::FloatMode::current() : kernels::FloatMode::current().flushing()) {}

 private:
  BudgetScope budget_;
  kernels::FloatModeScope mode_;
};

// What a device may round to where nobody says it: what the model was converted with; or half or bfloat16, where all of its products
// are of that type in the model itself.
kernels::Precision precision_of(const Graph& graph) {
  std::optional<DType> common;
  for (const Node& node : graph.nodes) {
    const OpId op = node.op.id();
    if (op != OpId::MatMul && op != OpId::Conv && op != OpId::ConvTranspose) continue;
    const DType dtype = graph[node.inputs[0]].type.dtype;
    if (common.value_or(dtype) != dtype) return graph.precision;
    common = dtype;
  }
  if (graph.precision != kernels::Precision::f32) return graph.precision;
  return common == DType::f16 ? kernels::Precision::f16 : common == DType::bf16 ? kernels::Precision::bf16 : kernels::Precision::f32;
}
}  // namespace

Model::Model(Graph graph, CompileOptions options, std::shared_ptr<const CustomOpSet> custom_ops)
    : custom_ops_(std::move(custom_ops)) {
  if (custom_ops_) bind_custom_ops(graph, *custom_ops_);
  if (!options.precision && options.device) options.precision = precision_of(graph);
  plans_ = std::make_shared<PlanCache>(std::move(graph), std::move(options));
}

std::shared_ptr<const Model> Model::load(const std::string& path, CompileOptions options, LoadMode mode,
                                         std::shared_ptr<const CustomOpSet> custom_ops) {
  return std::make_shared<const Model>(load_model(path, mode), std::move(options), std::move(custom_ops));
}

namespace {
// The state is a cache with room for what its only reader adds, which does so where the memory of both is the same.
bool extends_in_place(const Graph& graph, const State& state) {
  const ValueId from = graph.inputs[state.input], to = graph.outputs[state.output].value;
  const NodeId reader = graph[to].producer;
  if (reader == NodeId::none || !(graph[from].type == graph[to].type)) return false;
  int64_t uses = 0;
  for (const Node& node : graph.nodes) uses += std::ranges::count(node.inputs, from);
  for (const GraphOutput& out : graph.outputs) uses += out.value == from;
  const Node& node = graph[reader];
  const int input = continued_input(node.op, size_t(std::ranges::find(node.outputs, to) - node.outputs.begin()));
  return uses == 1 && input >= 0 && size_t(input) < node.inputs.size() && node.inputs[size_t(input)] == from;
}
}  // namespace

Session::Session(std::shared_ptr<const Model> model, SessionOptions options)
    : model_(std::move(model)), time_limit_(options.time_limit),
      budget_(std::make_shared<Budget>(model_->plans()->options().max_memory_bytes)), frame_(model_->plans(), options_), inputs_(model_->inputs()), views_(model_->inputs()),
      bound_(model_->outputs()), results_(model_->outputs()) {
  require(options.threads >= 0, Code::invalid_argument, "a session has at least one thread, not ", options.threads);
  options_.pool = options.pool           ? options.pool
                  : options.threads == 1 ? &kernels::ThreadPool::caller()
                                         : &kernels::ThreadPool::process();
  options_.threads = options.threads ? options.threads : options_.pool->size();
  options_.stop = &stop_;
  if (options.own_states)
    for (const State& s : model_->graph().states) states_.push_back({s, {}, {}, extends_in_place(model_->graph(), s), 0});
  reset_states();
}

void Session::start_budget(Budget::Clock::time_point deadline) {
  const double now = std::chrono::duration<double>(Budget::Clock::now().time_since_epoch()).count(), longest = 1e9;
  if (time_limit_ < longest)
    deadline = std::min(deadline, Budget::Clock::time_point(std::chrono::duration_cast<Budget::Clock::duration>(std::chrono::duration<double>(now + time_limit_))));
  budget_->start(model_->plans()->options().max_work, deadline);
}

void Session::reset_states() {
  const BudgetScope scope(budget_);
  for (OwnedState& s : states_) {
    const Type& type = model_->input(s.at.input).type;
    inputs_[s.at.input].given = false;
    if (results_[s.at.output].data == s.value.bytes.data()) results_[s.at.output] = {};  // it lies there
    s.value = {}, s.pitch = 0;
    if (!type.is_tensor() || !type.determined()) continue;  // the first value is the caller's
    const View zeros = s.value.set_tensor(type.dtype, type.shape());
    std::fill_n(zeros.data, type.dtype == DType::string ? 0 : zeros.bytes(), std::byte{});
    inputs_[s.at.input].shape = s.value.shape;
    inputs_[s.at.input].view = std::as_const(s.value).view();
    inputs_[s.at.input].given = true;
  }
}

void Session::set_input(size_t k, const ConstView& view) {
  require(k < inputs_.size(), Code::invalid_argument, "there is no input ", k, "; the model has ", inputs_.size());
  Input& input = inputs_[k];
  input.shape.assign(view.shape.begin(), view.shape.end());
  input.view = {view.dtype, input.shape, view.data, view.object};
  input.given = true;
  frame_.place_input(k, nullptr);
}

void Session::require_device() const { require(model_->plans()->options().device != nullptr, Code::invalid_argument, "the model is not on a device"); }

namespace {
// Kernels read whole elements: what is not aligned would end all of the process' work on the device.
void require_aligned(const char* which, size_t k, const void* data, DType dtype) {
  const auto bytes = uintptr_t(std::clamp(bits_of(dtype) / 8, 1, 8));
  require(reinterpret_cast<uintptr_t>(data) % bytes == 0, Code::invalid_argument, which, " ", k,
          ": memory of the device that is not aligned to its elements (", schema::name(dtype), ")");
}
}  // namespace

void Session::set_device_input(size_t k, const ConstView& view) {
  require_device();
  require_aligned("input", k, view.data, view.dtype);
  require(std::ranges::none_of(states_, [&](const OwnedState& s) { return s.at.input == k; }), Code::invalid_argument, "input ", k, " is a state, which a session keeps on the host");
  set_input(k, view);
  frame_.place_input(k, view.data);
}
void Session::set_device_output(size_t k, const View& view) {
  require_device();
  require(std::ranges::none_of(states_, [&](const OwnedState& s) { return s.at.output == k; }), Code::invalid_argument, "output ", k, " is a state, which a session keeps on the host");
  require_aligned("output", k, view.data, view.dtype);
  bind_output(k, view, true);
}
void Session::set_stream(void* stream) {
  require_device();
  if (options_.stream == stream) return;
  options_.stream = stream;
  frame_.change_stream();
}

void Session::set_picture(size_t k, const Picture& picture) {
  require(k < inputs_.size(), Code::invalid_argument, "there is no input ", k, "; the model has ", inputs_.size());
  const Value& value = model_->input(k);
  if (!value.image)
    fail(Code::invalid_argument, "input '", value.name, "' (", value.type,
         ") takes a tensor: the model does not say how a picture becomes it (convert --image)");
  auto& pictures = inputs_[k].pictures;
  if (!pictures) pictures = std::make_unique<PictureTensor>(model_->plans()->options().isa);
  with_context([&] { set_input(k, pictures->make(*value.image, value.type, picture, *options_.pool, options_.threads)); }, "input '", value.name, "'");
}

void Session::set_output(size_t k, const View& view) { bind_output(k, view, false); }

void Session::bind_output(size_t k, const View& view, bool on_device) {
  require(k < bound_.size(), Code::invalid_argument, "there is no output ", k, "; the model has ", bound_.size());
  require(view.dtype != DType::string && !view.object, Code::invalid_argument, "output '", model_->output_name(k), "': only a tensor of numbers can be bound");
  Output& output = bound_[k];
  output.shape.assign(view.shape.begin(), view.shape.end());
  output.view = {view.dtype, output.shape, view.data, nullptr};
  output.on_device = on_device;
  frame_.redirect(k, view.data, view.data ? view.bytes() : 0, on_device);
}

void Session::gather_inputs() {
  std::ranges::fill(results_, ConstView{});  // a new plan may move what they lie in
  for (size_t k = 0; k < inputs_.size(); ++k) {
    if (!inputs_[k].given) {
      const bool state = std::ranges::any_of(states_, [&](const OwnedState& s) { return s.at.input == k; });
      fail(Code::invalid_argument, "input '", model_->input(k).name, "' (", model_->input(k).type, ") is not set",
           state ? ", and a state of unknown shape needs a first value" : "");
    }
    views_[k] = {inputs_[k].view.dtype, inputs_[k].shape, inputs_[k].view.data, inputs_[k].view.object, inputs_[k].view.pitch};
  }
}

const Plan& Session::prepare() {
  const RunScope scope(budget_, model_->plans()->options());
  start_budget(Budget::Clock::time_point::max());
  gather_inputs();
  return frame_.prepare(views_);
}

void Session::run_armed() {
  const RunScope scope(budget_, model_->plans()->options());
  start_budget(deadline_);
  gather_inputs();
  if (std::ranges::any_of(states_, [&](const OwnedState& s) { return moves(s); })) redirect_states(frame_.prepare(views_));
  const auto outputs = frame_.run(views_);
  for (size_t k = 0; k < results_.size(); ++k) {
    results_[k] = outputs[k];
    const View& to = bound_[k].view;
    if (!to.data) continue;
    const bool tensor = !results_[k].object || results_[k].object->kind == ValueKind::tensor;
    if (!tensor || to.dtype != results_[k].dtype || !std::ranges::equal(bound_[k].shape, results_[k].shape))
      fail(Code::invalid_argument, "output '", model_->output_name(k), "' is ", name(results_[k].dtype),
           results_[k].shape, " and does not fit the bound ", name(to.dtype), bound_[k].shape);
    if (to.data == results_[k].data) continue;  // the run wrote there
    if (bound_[k].on_device) model_->plans()->options().device->upload(to.data, results_[k].data, size_t(to.bytes()));
    else copy_tensor(to, results_[k]);
    results_[k].data = to.data;
  }
  keep_states();
}

// Whether the run writes a state where it is kept: to copy a cache that grows would take as long as to attend to it.
bool Session::moves(const OwnedState& s) const {
  const Type& type = model_->output_type(s.at.output);
  return !bound_[s.at.output].view.data && type.is_tensor() && type.dtype != DType::string && type.placeable() && (!type.determined() || s.in_place);
}

void Session::redirect_states(const Plan& plan) {
  for (OwnedState& s : states_) {
    const Type& type = model_->output_type(s.at.output);
    const bool grows = moves(s) && !options_.observer &&  // which sees dense tensors
                       std::ranges::any_of(plan.growing, [&](const Plan::Growing& g) { return g.input == s.at.input && g.output == s.at.output; });
    if (s.pitch && !grows && inputs_[s.at.input].view.pitch) make_dense(s);
    if (!moves(s)) continue;
    Object& to = s.in_place || s.pitch ? s.value : s.next;
    to.bytes.resize(size_t(largest_bytes(type)));
    frame_.redirect(s.at.output, to.bytes.data(), largest_bytes(type), false, grows ? type.dims.end()[-1].upper() * type.dims.end()[-2].upper() : 0);
  }
}

// `value` without room in it.
void Session::make_dense(OwnedState& s) {
  Input& input = inputs_[s.at.input];
  const View to = s.next.set_tensor(input.view.dtype, input.shape);
  copy_tensor(to, input.view);
  std::swap(s.value, s.next);
  s.pitch = 0;
  input.view = std::as_const(s.value).view();
  views_[s.at.input] = input.view;
}

const ConstView& Session::output(size_t k) {
  if (!results_[k].pitch) return results_[k];
  const BudgetScope scope(budget_);
  OwnedState& s = *std::ranges::find_if(states_, [&](const OwnedState& state) { return state.at.output == k; });
  s.next.bytes.resize(size_t(largest_bytes(model_->output_type(k))));  // for all that it may become
  copy_tensor(s.next.set_tensor(results_[k].dtype, results_[k].shape), results_[k]);
  return results_[k] = std::as_const(s.next).view();
}

void Session::keep_states() {
  for (OwnedState& s : states_) {
    const ConstView& result = results_[s.at.output];
    if (result.data && s.in_place && result.data == s.value.bytes.data()) {
      s.value.set_tensor(result.dtype, result.shape);
    } else if (result.data && result.pitch) {
      if (result.data == s.next.bytes.data()) std::swap(s.value, s.next), s.next = {};
      s.value.dtype = result.dtype, s.value.shape.assign(result.shape.begin(), result.shape.end());
    } else if (result.data && result.data == s.next.bytes.data()) {
      s.next.set_tensor(result.dtype, result.shape);
      std::swap(s.value, s.next);
    } else {
      s.value.assign(result);
    }
    s.pitch = result.pitch;
    inputs_[s.at.input].shape = s.value.shape;
    inputs_[s.at.input].view = std::as_const(s.value).view();
    inputs_[s.at.input].view.pitch = s.pitch;
  }
}
}  // namespace engine
