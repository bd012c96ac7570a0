// Everything decided for one device and one set of input types: kernels chosen, weights packed, memory placed. Immutable
// and shared: it holds no address of an arena, an input or an output.
#pragma once
#include <list>
#include <map>
#include <mutex>
#include "engine/graph.h"
#include "engine/memory_plan.h"
#include "engine/op.h"
#include "engine/packing.h"
#include "kernels/precision.h"
#include "kernels/table.h"

namespace engine {
class Device;
class PlanCache;
class Tuning;

struct CompileOptions {
  kernels::isa::Mask isa = kernels::isa::detected();
  bool strict = false;  // no kernel whose error is larger than a direct sum's (no Winograd convolution), and subnormals are kept
  bool reference_only = false;              // no kernels: what every other plan is compared with
  bool all_threads = false;                 // as many for a step as the session has, even where one is faster
  bool keep_refusals = false;               // fill Plan::refusals and Plan::keys
  int64_t max_arena_bytes = limits::bytes;  // of one plan: compiling fails above it
  // Of a session, all it holds at once: arenas, those on a device with them, values outside of them, and what folding, packing and references make.
  // Planning and running fail above it. The description of plans, in proportion to the model's nodes, is not counted.
  int64_t max_memory_bytes = limits::bytes;
  // Of one run, planning included: operations as work_of counts them.
  double max_work = Budget::no_limit;
  std::vector<std::string> disabled_passes{};
  std::shared_ptr<Device> device{};  // where steps run that it has kernels for; null: all on the CPU
  std::shared_ptr<const Tuning> tuned{};  // choices that were measured
  // What operands of products and convolutions may be rounded to on the device, or on the CPU where there is none: see require_precision.
  // None: on a device the model's own, where a Model is made of it; on the CPU f32. `strict` plans of the CPU round nothing.
  std::optional<kernels::Precision> precision{};
  bool of_body = false;  // a step of the host runs it: inputs come from there, and results go there, each time
  kernels::Precision rounding() const { return precision.value_or(kernels::Precision::f32); }
};
// Throws where the device, or the CPU at these instruction sets, has no kernels for the precision.
void require_precision(const CompileOptions&);

// Where the bytes of a value are.
struct Place {
  enum Kind : uint8_t {
    arena,     // at `offset`
    constant,  // at `data`
    input,     // input `index` of the plan
    object,    // object `index` of the frame: not a tensor, strings, or a size found at run
    device,    // at `offset` of the arena on the device
  };
  Kind kind = arena;
  uint32_t index = 0;
  int64_t offset = 0;
  const std::byte* data = nullptr;
};

struct PlannedValue {
  Type type;  // extents are numbers, or bounded symbols
  Place place;
  bool found_at_run = false;  // its type is known when the step has run
  uint32_t root = 0;          // the value whose bytes it shares, from the difference of their offsets on; itself
  DType kept = DType::f32;    // how its elements lie in memory: see kept.h
};

struct Step {
  static constexpr uint32_t absent = UINT32_MAX;
  std::string_view kernel;  // its name in its family's table, or "reference"
  Op op;
  Origins origins;
  std::vector<uint32_t> inputs, outputs;  // into Plan::values
  std::function<void(RunContext&)> run;
  int64_t scratch_offset = 0;
  int threads = 0;  // at most; 0: as many as the session has
  std::vector<std::shared_ptr<PlanCache>> bodies;
  Cost cost;
  double work = 0;  // see work_of; extents that vary are at their bounds
  bool on_device = false;  // `run` asks the device for it, and returns at once
};

// What a step draws on a budget: operations, bytes, or turns of the loops around empty extents, whichever are more, and
// as many as calling it costs.
double work_of(const Op&, std::span<const Type> in, std::span<const Type> out);
double work_of(const Cost&, std::span<const Type> in, std::span<const Type> out);  // of its cost

struct Plan {
  Types inputs;
  std::vector<ConstantPtr> input_values;  // by input that it was made for the value of, else null; empty: of none
  std::vector<PlannedValue> values;
  std::vector<ConstantPtr> constants;  // that values point into
  std::vector<Step> steps;
  std::vector<std::vector<kernels::Refusal>> refusals;  // by step: why other kernels do not serve it; empty unless asked for
  size_t objects = 0;
  struct Output {
    bool from_tail;
    uint32_t index;  // a value of this plan, or an output of the tail's
  };
  std::vector<Output> outputs;
  // What is left to plan when this has run: its inputs are these values.
  std::shared_ptr<PlanCache> tail;
  std::vector<uint32_t> crossing;

  // What was placed (values and scratch, in-place and aliased ones merged) and where; `first` and `last` are steps.
  std::vector<Buffer> buffers;
  MemoryPlan memory;
  int64_t arena_lower_bound = 0, arena_without_reuse = 0;
  int64_t arena_bytes() const { return int64_t(memory.arena_size); }
  // The same of the device's arena.
  std::vector<Buffer> device_buffers;
  MemoryPlan device_memory;
  bool bounded = false;  // some extent is a bounded symbol
  // States that one step continues by a Concat along the last dim but one, and only kernels touch that can leave room between
  // matrices (View::pitch). Where both have the same memory and pitch, that step writes what is new, and the rest stays.
  struct Growing {
    uint32_t input, output;  // of the plan
  };
  std::vector<Growing> growing;
  std::vector<PackedFor> packed;        // weights that steps hold in a kernel's form
  std::vector<ContentHash::Bits> keys;  // by step: Tuning::key_of it; empty unless asked for, or tuned
};

// Compiles a graph for input types, and keeps the plans it made: a least-recently-used list of limits::plans. A body, or
// the rest behind a size found at run, has a cache of its own in every plan of the graph around it; these caches share
// the number, and keep one plan each beyond it, so that sizes found one after the other do not multiply what is kept.
class PlanCache {
 public:
  // `by_value`: of the graph's inputs, whether plans are made for what they hold, see specialise; empty: of none.
  PlanCache(Graph, CompileOptions, std::vector<bool> by_value = {});
  ~PlanCache();
  PlanCache(const PlanCache&) = delete;
  PlanCache& operator=(const PlanCache&) = delete;
  // The plan for inputs of these types and shapes. Throws where the graph cannot take them.
  std::shared_ptr<const Plan> get(std::span<const ConstView> inputs, Workers = {});
  std::shared_ptr<const Plan> get(const Types& inputs, Workers = {});
  const Graph& graph() const { return graph_; }
  const CompileOptions& options() const { return options_; }
  size_t kept() const;  // plans, with those of their tails and bodies

 private:
  // What the caches at one place of a model share, however many plans they are in.
  struct Site {
    std::atomic<int64_t> kept{0};
    std::mutex mutex;
    std::map<size_t, std::shared_ptr<Site>> inside;  // 0: the tail of plans; then their bodies, in order
    std::shared_ptr<Site> at(size_t);
  };
  std::shared_ptr<const Plan> keep(std::shared_ptr<const Plan>);
  const Graph graph_;
  const CompileOptions options_;
  const std::vector<bool> by_value_;
  std::atomic<bool> exact_ = false;  // bounded symbols get the extents of the inputs: the graph cannot be planned for bounds
  std::shared_ptr<Site> site_ = std::make_shared<Site>();  // of this cache; set before it has a plan
  mutable std::mutex mutex_;
  std::list<std::shared_ptr<const Plan>> plans_;  // the latest used first
};

// True if these values may be given to the plan as they are.
bool accepts(const Plan&, std::span<const ConstView> inputs);

Plan compile(const Graph&, const Types& inputs, const CompileOptions&, Workers = {},
             std::span<const ConstantPtr> values = {});  // see specialise
inline constexpr size_t arena_alignment = 64;

// engine/schedule.cpp: the order of nodes that needs the least memory among those tried.
std::vector<NodeId> schedule(const Graph&);
// And one thread for all steps of a plan, if a second would not make it faster: its steps are so small that the second is paid
// for by handing over work, and lines, from core to core.
void choose_threads(Plan&);
}  // namespace engine
