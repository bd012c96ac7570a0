// A loaded model, and sessions that run it.
#pragma once
#include "engine/custom.h"
#include "engine/frame.h"
#include "engine/image_spec.h"
#include "engine/interface.h"
#include "engine/model_file.h"

namespace engine {
// A graph and the plans made for it so far. Immutable to its users: any number of threads and sessions share it.
class Model {
 public:
  // With implementations, every custom op of the graph is bound to one of them. Without, a graph that has such ops can
  // be looked at, and not run.
  explicit Model(Graph, CompileOptions = {}, std::shared_ptr<const CustomOpSet> = {});
  static std::shared_ptr<const Model> load(const std::string& path, CompileOptions = {}, LoadMode = LoadMode::map,
                                           std::shared_ptr<const CustomOpSet> = {});

  const Graph& graph() const { return plans_->graph(); }
  size_t inputs() const { return graph().inputs.size(); }
  size_t outputs() const { return graph().outputs.size(); }
  const Value& input(size_t k) const { return graph()[graph().inputs[k]]; }
  const std::string& output_name(size_t k) const { return graph().outputs[k].name; }
  const Type& output_type(size_t k) const { return graph()[graph().outputs[k].value].type; }
  // By ONNX name. Throws invalid_argument, listing the names there are.
  size_t find_input(std::string_view name) const { return engine::find_input(graph(), name); }
  size_t find_output(std::string_view name) const { return engine::find_output(graph(), name); }
  const std::shared_ptr<PlanCache>& plans() const { return plans_; }

 private:
  std::shared_ptr<const CustomOpSet> custom_ops_;
  std::shared_ptr<PlanCache> plans_;
};

struct SessionOptions {
  int threads = 0;                       // at most; 0: all of the pool's
  kernels::ThreadPool* pool = nullptr;   // null: the process' own, and none for one thread; outlives the session
  bool own_states = true;                // feed each state from the run before
  double time_limit = Budget::no_limit;  // seconds of one run, planning included: it then ends with code timeout
};

// One arena and its states. Cheap; used by one thread at a time.
class Session {
 public:
  explicit Session(std::shared_ptr<const Model>, SessionOptions = {});
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // The value that input k has from now on: the memory is the caller's, and stays valid while runs read it. An input
  // that is a state takes it for the next run, and goes on from there.
  void set_input(size_t k, const ConstView&);
  // Input k from now on is what the model's image spec makes of this picture, which is not read afterwards. Throws,
  // the input as it was, where the model has none or the picture does not suit it. A second picture of a size allocates
  // nothing.
  void set_picture(size_t k, const Picture&);
  // Where output k is written to, in the caller's memory; its type must be what the run gives. Null data: the session's own.
  void set_output(size_t k, const View&);

  // The same in the memory of the model's device: a step there reads an input in place and writes a result in place, or its copy stays on
  // the device. Where the run has them on the host, they are copied. Throws invalid_argument where the model is not on a device.
  void set_device_input(size_t k, const ConstView&);
  void set_device_output(size_t k, const View&);
  // The application's stream (a cudaStream_t, not the default one) that steps on the device run in from now on, behind what is in it
  // already; null: the session's own. A run still ends when its results are there.
  void set_stream(void*);

  // Plans for the inputs as they are. run() does so itself when their types are new, and only then allocates.
  const Plan& prepare();
  // Throws on a missing input, a plan that cannot be made, or data that an op refuses.
  void run() { arm(), run_armed(); }
  // The two halves of run(): a cancel() after arm() ends the run, also if it comes before run_armed(). A run that passes
  // its deadline ends with an error of code timeout.
  void arm(Budget::Clock::time_point deadline = Budget::Clock::time_point::max()) {
    stop_.cancelled.store(false, std::memory_order_relaxed);
    deadline_ = deadline;
  }
  void run_armed();
  // Of the last run; without data if it failed. Valid until the next run or prepare(). Copies a state that grows in place, when it
  // is asked for; reset_states() forgets it.
  const ConstView& output(size_t k);

  // Forgets the states: each starts from zeros, or from what set_input gives it.
  void reset_states();
  // From any thread: the run in progress ends with an error of code cancelled.
  void cancel() { stop_.cancelled.store(true, std::memory_order_relaxed); }

  const Model& model() const { return *model_; }
  const Frame& frame() const { return frame_; }
  const Budget& budget() const { return *budget_; }
  // See RunOptions::observer.
  void set_observer(decltype(RunOptions::observer) observer) { options_.observer = std::move(observer); }

 private:
  struct Input {
    ConstView view;
    Shape shape;
    bool given = false;
    std::unique_ptr<PictureTensor> pictures;
  };
  struct Output {
    View view;
    Shape shape;
    bool on_device = false;
  };
  void require_device() const;
  void bind_output(size_t k, const View&, bool on_device);
  struct OwnedState {
    State at;
    Object value;
    Object next;            // of one that grows up to a bound: what the run writes to, while it reads `value`
    bool in_place = false;  // the run may write to what it reads
    int64_t pitch = 0;      // View::pitch of `value`
  };
  bool moves(const OwnedState&) const;
  void redirect_states(const Plan&);
  void make_dense(OwnedState&);
  void keep_states();
  void gather_inputs();
  void start_budget(Budget::Clock::time_point deadline);

  std::shared_ptr<const Model> model_;
  double time_limit_;
  Budget::Clock::time_point deadline_ = Budget::Clock::time_point::max();
  std::shared_ptr<Budget> budget_;
  RunOptions options_;
  Stop stop_;
  Frame frame_;
  std::vector<Input> inputs_;
  std::vector<ConstView> views_;
  std::vector<Output> bound_;
  std::vector<ConstView> results_;
  std::vector<OwnedState> states_;
};
}  // namespace engine
