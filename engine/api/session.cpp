#include <condition_variable>
#include <mutex>
#include "engine/api/api.h"
#include "kernels/os.h"

using namespace engine;
using namespace engine::api;
using kernels::image::PixelFormat;
static_assert(INLAY_RGB == int(PixelFormat::rgb) && INLAY_RGBA == int(PixelFormat::rgba) && INLAY_BGR == int(PixelFormat::bgr) &&
              INLAY_BGRA == int(PixelFormat::bgra) && INLAY_NV12 == int(PixelFormat::nv12) && INLAY_GREY == int(PixelFormat::grey));

kernels::ThreadPool& engine::api::pool_of(const inlay_pool* pool) {
  return pool ? const_cast<inlay_pool*>(pool)->pool : kernels::ThreadPool::process();
}

inlay_status inlay_pool_create(int32_t threads, const int32_t* cpus, size_t cpu_count, inlay_pool** pool) {
  return guarded([&] {
    require_given(pool, "pool");
    require(threads >= 0 && threads <= limits::threads, Code::invalid_argument, "a pool of ", threads, " threads is not in 0..",
            limits::threads);
    require(cpus || !cpu_count, Code::invalid_argument, "'cpus' is NULL");
    *pool = new inlay_pool(threads ? threads : kernels::os::available_cores(), {cpus, cpu_count});
  });
}
void inlay_pool_release(inlay_pool* pool) { Release<inlay_pool>()(pool); }
int32_t inlay_pool_threads(const inlay_pool* pool) {
  int32_t threads = 0;
  guarded([&] { threads = pool_of(pool).size(); });
  return threads;
}

// A session, and the thread of its asynchronous runs.
struct inlay_session {
  inlay_session(const inlay_model* m, const inlay_session_options& o)
      : pool((o.pool ? o.pool->retain() : void(), o.pool)),
        session(m->model,
                {.threads = o.threads, .pool = o.pool ? &pool_of(o.pool) : nullptr, .own_states = !o.manual_states}) {}
  ~inlay_session() {
    if (thread.joinable()) {
      {
        std::lock_guard lock(mutex);
        quits = true;
        session.cancel();
      }
      changed.notify_all();
      thread.join();
    }
  }

  // Throws while an asynchronous run is in progress, but not in its callback.
  void require_idle() const {
    if (!busy.load(std::memory_order_acquire)) return;
    if (in_callback.load(std::memory_order_acquire) && std::this_thread::get_id() == thread.get_id()) return;
    fail(Code::busy, "an asynchronous run of this session is in progress");
  }

  void arm(const inlay_run_options& options) {
    require(options.timeout_ns >= 0, Code::invalid_argument, "timeout_ns is ", options.timeout_ns);
    const auto now = Budget::Clock::now(), never = Budget::Clock::time_point::max();
    const std::chrono::nanoseconds timeout(options.timeout_ns);
    session.arm(options.timeout_ns && timeout < never - now ? now + timeout : never);
  }
  inlay_status run() noexcept {
    return guarded([&] { session.run_armed(); });
  }

  void start(const inlay_run_options& options, inlay_done callback, void* callers) {
    std::lock_guard lock(mutex);
    require(!quits, Code::cancelled, "the session is being released");
    if (!thread.joinable()) thread = std::thread([this] { work(); });
    arm(options);
    done = callback, user = callers;
    pending = true;
    busy.store(true, std::memory_order_release);
    changed.notify_all();
  }

  void work() {
    std::unique_lock lock(mutex);
    for (;;) {
      changed.wait(lock, [&] { return pending || quits; });
      if (!pending) return;
      pending = false;
      const inlay_done callback = done;
      void* const callers = user;
      lock.unlock();
      const inlay_status status = run();
      if (callback) {
        in_callback.store(true, std::memory_order_release);
        callback(callers, this, status, status == INLAY_OK ? "" : inlay_error());
        in_callback.store(false, std::memory_order_release);
      }
      lock.lock();
      last_status = status;
      if (status != INLAY_OK) std::snprintf(last_error, sizeof last_error, "%s", inlay_error());
      if (!pending) busy.store(false, std::memory_order_release);
      changed.notify_all();
    }
  }

  Handle<inlay_pool> pool;
  Session session;
  inlay_profiler profiler = nullptr;
  void* profiler_user = nullptr;
  std::string origins;  // of the step that the profiler sees

  std::mutex mutex;
  std::condition_variable changed;
  std::thread thread;
  std::atomic<bool> busy = false, in_callback = false;
  bool pending = false, quits = false;
  inlay_done done = nullptr;
  void* user = nullptr;
  inlay_status last_status = INLAY_OK;
  char last_error[2048] = "";  // a string could fail to hold it
};

namespace {
// f(the session), where no asynchronous run is in progress.
template <class F> inlay_status with_session(inlay_session* session, F&& f) {
  return guarded([&] {
    require_given(session, "session");
    session->require_idle();
    f(*session);
  });
}

const ConstView& output_of(inlay_session& s, size_t index) {
  const Model& model = s.session.model();
  require(index < model.outputs(), Code::invalid_argument, "there is no output ", index, "; the model has ", model.outputs());
  const ConstView& view = s.session.output(index);
  require(view.data || view.object || view.elements() == 0, Code::invalid_argument, "no run has given output '",
          model.output_name(index), "' yet");
  return view;
}
}  // namespace

inlay_status inlay_session_create(inlay_model* model, const inlay_session_options* options, inlay_session** session) {
  return guarded([&] {
    require_given(model, "model"), require_given(session, "session");
    *session = new inlay_session(model, read_options(options, INLAY_SIZE_UP_TO(inlay_session_options, pool), "inlay_session_options"));
  });
}

void inlay_session_release(inlay_session* session) { delete session; }

static ConstView input_view(const inlay_tensor* tensor) {
  const ConstView view = view_of(tensor, "tensor");
  require(view.dtype != DType::string, Code::invalid_argument, "strings are set by inlay_session_set_input_value");
  require(view.data || view.elements() == 0, Code::invalid_argument, "'tensor' has no data");
  return view;
}
static View output_view(const inlay_tensor* tensor) {
  if (!tensor) return {};
  const ConstView view = view_of(tensor, "tensor");
  require(view.data, Code::invalid_argument, "'tensor' has no data");
  return {view.dtype, view.shape, const_cast<std::byte*>(view.data), nullptr};
}

inlay_status inlay_session_set_input(inlay_session* session, size_t index, const inlay_tensor* tensor) {
  return with_session(session, [&](inlay_session& s) { s.session.set_input(index, input_view(tensor)); });
}
inlay_status inlay_session_set_device_input(inlay_session* session, size_t index, const inlay_tensor* tensor) {
  return with_session(session, [&](inlay_session& s) { s.session.set_device_input(index, input_view(tensor)); });
}
inlay_status inlay_session_set_device_output(inlay_session* session, size_t index, const inlay_tensor* tensor) {
  return with_session(session, [&](inlay_session& s) { s.session.set_device_output(index, output_view(tensor)); });
}
inlay_status inlay_session_set_stream(inlay_session* session, void* stream) {
  return with_session(session, [&](inlay_session& s) { s.session.set_stream(stream); });
}

inlay_status inlay_session_set_input_value(inlay_session* session, size_t index, const inlay_value* value) {
  return with_session(session, [&](inlay_session& s) {
    require_given(value, "value");
    s.session.set_input(index, object_of(value).view());
  });
}

inlay_status inlay_session_set_picture(inlay_session* session, size_t index, const inlay_picture* picture) {
  return with_session(session, [&](inlay_session& s) {
    require_given(picture, "picture");
    require(picture->format >= INLAY_RGB && picture->format <= INLAY_GREY, Code::invalid_argument, "there is no pixel format ",
            picture->format);
    s.session.set_picture(index, {.format = PixelFormat(picture->format), .width = picture->width, .height = picture->height,
                                  .data = picture->data, .stride = picture->stride, .uv = picture->uv,
                                  .uv_stride = picture->uv_stride});
  });
}

inlay_status inlay_session_set_output(inlay_session* session, size_t index, const inlay_tensor* tensor) {
  return with_session(session, [&](inlay_session& s) { s.session.set_output(index, output_view(tensor)); });
}

inlay_status inlay_session_prepare(inlay_session* session) {
  return with_session(session, [](inlay_session& s) { s.session.prepare(); });
}

inlay_status inlay_session_run(inlay_session* session, const inlay_run_options* options) {
  inlay_status status = INLAY_OK;
  const inlay_status given = with_session(session, [&](inlay_session& s) {
    const inlay_run_options o = read_options(options, INLAY_SIZE_UP_TO(inlay_run_options, timeout_ns), "inlay_run_options");
    s.arm(o);
    status = s.run();
  });
  return given == INLAY_OK ? status : given;
}

inlay_status inlay_session_run_async(inlay_session* session, const inlay_run_options* options, inlay_done done, void* user) {
  return with_session(session, [&](inlay_session& s) {
    s.start(read_options(options, INLAY_SIZE_UP_TO(inlay_run_options, timeout_ns), "inlay_run_options"), done, user);
  });
}

inlay_status inlay_session_wait(inlay_session* session) {
  inlay_status status = INLAY_OK;
  const inlay_status given = guarded([&] {
    require_given(session, "session");
    require(std::this_thread::get_id() != session->thread.get_id(), Code::busy, "a callback cannot wait for its own session");
    std::unique_lock lock(session->mutex);
    session->changed.wait(lock, [&] { return !session->busy.load(std::memory_order_acquire); });
    status = session->last_status;
    if (status != INLAY_OK) failed(Code(status), session->last_error);
  });
  return given == INLAY_OK ? status : given;
}

void inlay_session_cancel(inlay_session* session) {
  if (session) session->session.cancel();
}

inlay_status inlay_session_output(inlay_session* session, size_t index, inlay_tensor* tensor) {
  return with_session(session, [&](inlay_session& s) {
    require_given(tensor, "tensor");
    const ConstView& view = output_of(s, index);
    require(view.dtype != DType::string && (!view.object || view.object->kind == ValueKind::tensor), Code::invalid_argument,
            "output '", s.session.model().output_name(index), "' is not a tensor of numbers: inlay_session_output_value gives it");
    *tensor = tensor_of(view);
  });
}

inlay_status inlay_session_output_value(inlay_session* session, size_t index, inlay_value** value) {
  return with_session(session, [&](inlay_session& s) {
    require_given(value, "value");
    auto made = std::make_unique<Object>();
    made->assign(output_of(s, index));
    *value = handle_of(made.release());
  });
}

inlay_status inlay_session_reset_states(inlay_session* session) {
  return with_session(session, [](inlay_session& s) { s.session.reset_states(); });
}

inlay_status inlay_session_memory(inlay_session* session, inlay_memory_info* info) {
  return with_session(session, [&](inlay_session& s) {
    const Frame& frame = s.session.frame();
    write_info(info, {0, frame.arena_bytes(), frame.arena_lower_bound()}, INLAY_SIZE_UP_TO(inlay_memory_info, arena_lower_bound_bytes), "inlay_memory_info");
  });
}

inlay_status inlay_session_set_profiler(inlay_session* session, inlay_profiler profiler, void* user) {
  return with_session(session, [&](inlay_session& s) {
    s.profiler = profiler, s.profiler_user = user;
    if (!profiler) return s.session.set_observer({});
    s.session.set_observer([&s](const Plan& plan, size_t index, double seconds, const RunContext&) {
      const Step& step = plan.steps[index];
      s.origins = to_text(step.origins);
      const inlay_step told{sizeof(inlay_step), index, s.origins.c_str(), name(step.op.id()).data(), step.kernel.data(),
                            int64_t(seconds * 1e9), step.cost.flops, step.cost.bytes};
      s.profiler(s.profiler_user, &told);
    });
  });
}
