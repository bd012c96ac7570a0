// What the engine knows about an op: one constant of type OpDef in engine/ops/<op>.cpp, and nothing elsewhere.
#pragma once
#include <atomic>
#include <functional>
#include "engine/aliasing.h"
#include "kernels/isa.h"
#include "kernels/precision.h"

namespace kernels {
class ThreadPool;
}
namespace kernels::cuda {
struct Stream;
}

namespace engine {
// What `infer` sees of a node.
class InferContext {
 public:
  InferContext(const Graph& graph, const Node& node) : graph_(graph), node_(node) {}
  size_t inputs() const { return node_.inputs.size(); }
  size_t outputs() const { return node_.outputs.size(); }  // as many as are wanted
  bool has(size_t k) const { return k < node_.inputs.size() && node_.inputs[k] != ValueId::none; }
  const Type& in(size_t k) const;  // throws if the input is absent
  // Elements of an integer tensor of rank 0 or 1, as far as they are known; each may still be a symbol.
  std::optional<Dims> ints(size_t k) const;
  // The same, if all of them are numbers.
  std::optional<std::vector<int64_t>> known_ints(size_t k) const;
  std::optional<Dim> known_scalar(size_t k) const;  // of an integer tensor with one element; it may be a symbol
  ConstantPtr constant(size_t k) const;  // null: not a constant
  size_t bodies() const { return node_.bodies.size(); }
  const Graph& body(size_t k) const { return *node_.bodies.at(k); }

  // Checks that an op repeats; each throws invalid_model.
  void expect_inputs(size_t least, size_t most) const;
  void expect_tensor(size_t k) const;
  Dims expect_rank(size_t k, int64_t rank) const;  // the extents, unknown ones where the rank is not known
  void expect_same_dtype(size_t a, size_t b) const;
  void expect_dtype(size_t k, std::initializer_list<DType>) const;
  void expect_class(size_t k, schema::DTypeClass) const;  // real, integer, …
  void expect_number(size_t k) const;                     // real or integer
  void expect_scalar(size_t k, const char* what) const;   // of rank 0, or of rank 1 with one element

 private:
  const Graph& graph_;
  const Node& node_;
};

// Throws invalid_model with the parts as message.
template <class... Parts> void check(bool ok, const Parts&... message) { require(ok, Code::invalid_model, message...); }
// Like check, for sizes: an unknown dim passes, and the check is repeated when it is known.
inline bool may_equal(const Dim& a, const Dim& b) { return !a.known() || !b.known() || a == b; }
// Two inputs say what one extent is: checks that they agree, and keeps what is known of it.
void meet(Dim& extent, const Dim& other, const char* what);
// The result of NumPy broadcasting. Unranked if either is.
Type broadcast(DType, std::span<const Type> types);

// Runs a body of an If, Loop or Scan for the op's reference.
class BodyRunner {
 public:
  virtual ~BodyRunner() = default;
  // Outputs are valid until the next run of the same body.
  virtual std::span<const ConstView> run(std::span<const ConstView> inputs) = 0;
  // What the body declares of its outputs, for a loop that never runs it.
  virtual Types output_types() const = 0;
};

// What the caller ends a run with. Looked at between steps, and by references between the iterations of a loop.
struct Stop {
  std::atomic<bool> cancelled = false;
  void check() const {
    if (cancelled.load(std::memory_order_relaxed)) fail(Code::cancelled, "cancelled");
  }
};

// What a step sees when it runs.
class RunContext {
 public:
  size_t inputs() const { return in_.size(); }
  size_t outputs() const { return out_.size(); }
  bool has(size_t k) const { return k < in_.size() && in_[k].present; }
  // Checks an input whose extents inference may have seen as symbols only.
  void expect_shape(size_t k, std::initializer_list<int64_t> shape) const;
  bool wants(size_t k) const { return k < out_.size() && out_[k].present; }
  const ConstView& in(size_t k) const { return in_[k].view; }
  const View& out(size_t k) const { return out_[k].view; }  // of a tensor whose type was known to the plan
  bool sized(size_t k) const { return !out_[k].found_at_run; }
  // Makes output k a tensor of this type. Where the plan knew the type, it must be the same.
  View set_out(size_t k, DType, std::span<const int64_t> shape);
  // The same, with a copy of a value of any kind.
  void set_out(size_t k, const ConstView&);
  Object& object(size_t k) const { return *out_[k].view.object; }  // output k, a string tensor or not a tensor
  std::byte* scratch() const { return scratch_; }  // as many bytes as Lowered::scratch asked for
  // n elements that keep their memory from run to run, for a reference that needs scratch. One per step: a second call
  // gives the same memory.
  template <class T> std::span<T> workspace(size_t n) {
    workspace_.resize(n * sizeof(T));
    return {reinterpret_cast<T*>(workspace_.data()), n};
  }
  kernels::ThreadPool& pool() const { return *pool_; }
  int threads() const { return threads_; }  // at most so many of the pool's
  BodyRunner& body(size_t k) const { return *bodies_[k]; }
  void check_stop() const {
    if (stop_) stop_->check();
    if (const auto& budget = Budget::current()) budget->check_time();
  }

  struct Input {
    ConstView view;
    bool present = true;
  };
  struct Output {
    View view;
    bool present = true, found_at_run = false;
  };
  std::vector<Input> in_;
  std::vector<Output> out_;
  std::vector<BodyRunner*> bodies_;
  std::byte* scratch_ = nullptr;
  Bytes workspace_;
  int64_t longest_text_ = 0;  // of the strings that an output may be made of
  kernels::ThreadPool* pool_ = nullptr;
  kernels::cuda::Stream* stream_ = nullptr;  // of a step on a device, whose views and scratch are addresses there
  int threads_ = 1;
  const Stop* stop_ = nullptr;
};

// A kernel chosen for a node whose types are all determined.
struct Lowered {
  std::string_view kernel;                // its name in its family's table
  std::function<void(RunContext&)> run;   // owns packed weights and generated code
  int64_t scratch = 0;                    // bytes
};
struct DeviceTarget;
class Packing;
struct LowerContext {
  const Graph& graph;
  const Node& node;
  kernels::isa::Mask isa;
  bool strict;  // see CompileOptions
  std::span<const Inside> inside = {};  // by value of the graph; empty: every value lies on its own
  const DeviceTarget* target = nullptr;  // null: the CPU; see device_lowering.h
  Packing* packing = nullptr;            // what collects the weights to pack; null: they are packed at once
  kernels::Precision precision = kernels::Precision::f32;  // what the CPU may round operands of products and convolutions to
  std::span<const DType> kept = {};      // by value of the graph, how its elements lie in memory: see kept.h; empty: as their types say
  bool alone = false;                    // the model has no other plan, which would share what this one packs
  // Elements from row to row of the last dim of an input, or of output 0; 0: as many as it has.
  int64_t in_pitch(size_t k) const { return pitch(node.inputs[k]); }
  int64_t out_pitch() const { return pitch(node.outputs[0]); }
  bool in_place(size_t k) const { return !inside.empty() && inside[size_t(node.inputs[k])].whole == node.outputs[0]; }  // where output 0 needs it
  DType kept_in(size_t k) const { return !has(k) ? DType::f32 : kept.empty() ? in(k).dtype : kept[size_t(node.inputs[k])]; }
  DType kept_out(size_t k = 0) const { return kept.empty() ? out(k).dtype : kept[size_t(node.outputs[k])]; }
  bool has(size_t k) const { return k < node.inputs.size() && node.inputs[k] != ValueId::none; }
  bool makes(size_t k) const { return k < node.outputs.size() && node.outputs[k] != ValueId::none; }
  const Type& in(size_t k) const { return graph[node.inputs[k]].type; }
  const Type& out(size_t k) const { return graph[node.outputs[k]].type; }
  const Constant* constant(size_t k) const { return has(k) ? graph[node.inputs[k]].constant.get() : nullptr; }

 private:
  int64_t pitch(ValueId v) const { return inside.empty() ? 0 : inside[size_t(v)].pitch; }
};

// An output that is the run of input 0 along `axis` from `first` on.
struct Part {
  int64_t axis, first;
};

struct Cost {
  double flops = 0;   // additions and multiplications; any other function of an element counts as one
  double bytes = 0;   // read and written
  double border = 0;  // bytes of input 0 that both the upper and the lower half of output 0's rows are made of
};

template <class T, int k> int input_at(const T&, const Node&) { return k; }

template <class T> struct OpDef {
  // Validates, and returns one type per output. The caller adds the op, the input types and the node to an error.
  Types (*infer)(const T&, const InferContext&);
  // The definition of the op, for every dtype that infer accepts: plain loops over a carrier, or over bytes. Outputs
  // whose type the plan knew are there; the others it creates with set_out.
  void (*reference)(const T&, RunContext&);
  // Asks a kernel family. Empty: no kernel accepts, and the reference runs instead.
  std::optional<Lowered> (*lower)(const T&, const LowerContext&) = nullptr;
  // lower() also takes types with bounded symbols: what it returns reads extents when it runs.
  bool bounded = false;
  // lower() also gives steps for a device, and none of the CPU's where it is asked for one.
  bool on_device = false;
  // lower() gives steps of a device, or of the CPU, that honour LowerContext::kept, or none.
  bool keeps_half = false, cpu_keeps_half = false;
  // Rewrites the node into something cheaper of the same meaning, if it can.
  void (*simplify)(const T&, NodeId, Rewriter&) = nullptr;
  // The input whose buffer output 0 may take: element i of the output depends on no later element of it.
  int (*inplace_input)(const T&, const Node&) = nullptr;
  // The input that output k continues: where both have the same memory, the kernel and the reference write only what is new. -1: none.
  int (*continued_input)(const T&, size_t k) = nullptr;
  // Bit k: the numbers of input k say how large outputs are, or along which dims, and hardly more. Where only the run
  // knows them, the node is planned for those it meets, as what reads the outputs has to be anyway.
  unsigned sized_by = 0;
  // Output 0 is input 0 in another shape: no step is needed.
  bool alias = false;
  // Each output as a range of input 0; empty: it is not that simple, or not known before the run.
  std::vector<Part> (*parts)(const T&, const Graph&, const Node&) = nullptr;
  // Whether lower() gives a kernel that honours a pitch of f32 input `port`, or of output 0 if that is -1. Where it does not
  // after all, the plan has no values inside others.
  bool (*takes_pitch)(const T&, const Graph&, const Node&, int port) = nullptr;
  // Whether lower()'s kernel honours View::pitch of input `port`, or of output 0 if that is -1, whose rank is given.
  bool (*takes_room)(const T&, int64_t rank, int port) = nullptr;
  // Its outputs do not follow from its inputs: it is not evaluated before the run, and equal nodes stay apart.
  bool random = false;
  // Null: one operation per element of output 0.
  double (*flops)(const T&, std::span<const Type> in, std::span<const Type> out) = nullptr;
  // See Cost. Null: none.
  double (*border)(const T&, std::span<const Type> in) = nullptr;
};

// One per op. A missing struct does not compile, a missing definition does not link.
#define OP(T) const OpDef<schema::T>& def(const schema::T&);
#include "schema/ops.inc"

Types infer(const Graph&, const Node&);  // errors name the op and the input types
void reference(const Op&, RunContext&);
std::optional<Lowered> lower(const LowerContext&);
Cost cost(const Op&, std::span<const Type> in, std::span<const Type> out);
bool lowers_to_device(const Op&);
bool lowers_kept(const Op&, bool on_device);
bool lowers_bounded(const Op&);
int inplace_input(const Node&);  // -1: none
int continued_input(const Op&, size_t output);  // -1: none
bool sizes_outputs(const Op&, size_t input);  // see OpDef::sized_by
bool is_alias(const Op&);
bool is_random(const Op&);
std::vector<Part> parts(const Graph&, const Node&);
bool takes_pitch(const Graph&, const Node&, int port);
bool takes_room(const Op&, int64_t rank, int port);
void simplify(NodeId, Rewriter&);
}  // namespace engine
