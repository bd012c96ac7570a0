// Every allocation of a model's life through the C ABI fails once, and then all from it on: each call gives a status, the
// same call works when there is memory again, and nothing leaks. Of a model with thousands of them a thousand are taken;
// with INLAY_EVERY_ALLOCATION set, all.
#include <gmock/gmock.h>
#include <inlay/inlay.h>
#include <functional>
#include "tests/api/models.h"
#include "tests/count_allocations.h"

namespace test {
namespace {
constexpr int64_t never = std::numeric_limits<int64_t>::max();

// Calls until one does without the allocations that fail, and then without failures what was refused before.
class Calls {
 public:
  // The allocations from `first` to `end`, counted from here, fail.
  Calls(int64_t first, int64_t end) {
    end_of_failing = end == never ? never : allocations + end;
    first_failing = first == never ? never : allocations + first;
  }
  ~Calls() { first_failing = never; }
  bool failed() const { return failed_; }

  template <class F> void operator()(const char* name, F&& call) {
    const inlay_status status = call();
    if (status == INLAY_OK) return;
    first_failing = never;
    failed_ = true;
    EXPECT_EQ(status, INLAY_OUT_OF_MEMORY) << name << ": " << inlay_error();
    EXPECT_STRNE(inlay_error(), "") << name;
    ASSERT_EQ(call(), INLAY_OK) << name << ", with memory again: " << inlay_error();
  }

 private:
  bool failed_ = false;
};

inlay_value* values[3];  // that a life makes

struct Subject {
  const char* name;
  std::string bytes;                                          // of the .inlay file
  std::function<void(Calls&, inlay_session*)> set_inputs;
  std::function<void(Calls&, inlay_session*)> check_outputs;
};

// A whole life; `pool` is what runs divide their work over.
void live_once(const Subject& subject, inlay_pool* pool, Calls& calls) {
  inlay_model* model = nullptr;
  inlay_session* session = nullptr;
  inlay_session_options options = INLAY_SESSION_OPTIONS_INIT;
  options.pool = pool;
  calls("load", [&] { return inlay_model_load_memory(subject.bytes.data(), subject.bytes.size(), nullptr, nullptr, nullptr, &model); });
  if (model) calls("create", [&] { return inlay_session_create(model, &options, &session); });
  if (session) {
    subject.set_inputs(calls, session);
    for (int run = 0; run < 2; ++run) {
      calls("run", [&] { return inlay_session_run(session, nullptr); });
      subject.check_outputs(calls, session);
    }
    calls("run_async", [&] {
      const inlay_status status = inlay_session_run_async(session, nullptr, nullptr, nullptr);
      return status == INLAY_OK ? inlay_session_wait(session) : status;
    });
  }
  inlay_session_release(session);
  inlay_model_release(model);
  for (inlay_value*& value : values) inlay_value_release(std::exchange(value, nullptr));
}

void fail_each(const Subject& subject) {
  if (!counts) GTEST_SKIP() << "a sanitiser has its own allocator";
  inlay_pool* pool = nullptr;
  ASSERT_EQ(inlay_pool_create(2, nullptr, 0, &pool), INLAY_OK);
  int64_t count = 0;
  for (const int64_t first : {int64_t{0}, never}) {  // what a process makes once, also where it fails, is there after this
    Calls calls(first, never);
    const int64_t before = allocations;
    live_once(subject, pool, calls);
    count = allocations - before;
    ASSERT_EQ(calls.failed(), first == 0);
  }
  ASSERT_GT(count, 50);
  const int64_t step = std::getenv("INLAY_EVERY_ALLOCATION") ? 1 : 1 + count / 1000;
  int64_t lives = 0, failures = 0;
  for (const bool once : {true, false})
    for (int64_t n = step / 2; n < count; n += step, ++lives) {
      SCOPED_TRACE(testing::Message() << subject.name << ": allocation " << n << " of " << count << (once ? " fails" : " and all after it fail"));
      const int64_t held = live, mapped = live_mappings;
      {
        Calls calls(n, once ? n + 1 : never);
        live_once(subject, pool, calls);
        failures += calls.failed();
      }
      ASSERT_EQ(live, held) << "leaked";
      ASSERT_EQ(live_mappings, mapped) << "leaked";
      if (testing::Test::HasFailure()) return;
    }
  inlay_pool_release(pool);
  std::printf("  %s: %ld allocations; in %ld of %ld lives a call failed\n", subject.name, long(count), long(failures), long(lives));
  EXPECT_GT(failures, lives * 9 / 10);  // those that something is done without are few
}

std::string file_of(const Graph& graph) {
  const TempFile file("allocation_failure.inlay");
  save_model(graph, file.path());
  return bytes_of_file(file.path());
}

TEST(AllocationFailure, DemoModel) {
  static float expected[10];
  static bool known = false;
  fail_each({"the demo model", bytes_of_file(INLAY_DEMO_MODEL),
             [](Calls& calls, inlay_session* s) {
               const int64_t shape[] = {1, 64, 64, 3};
               static const std::vector<uint8_t> pixels(64 * 64 * 3, 90);
               const inlay_tensor x{const_cast<uint8_t*>(pixels.data()), shape, 4, INLAY_U8};
               calls("set_input", [&] { return inlay_session_set_input(s, 0, &x); });
               static const inlay_picture source{pixels.data(), 0, nullptr, 0, 48, 48, INLAY_RGB};
               calls("set_picture", [&] { return inlay_session_set_picture(s, 0, &source); });
             },
             [](Calls& calls, inlay_session* s) {
               inlay_tensor y{};
               calls("output", [&] { return inlay_session_output(s, 0, &y); });
               if (!std::exchange(known, true)) std::memcpy(expected, y.data, sizeof expected);
               EXPECT_EQ(std::memcmp(expected, y.data, sizeof expected), 0);
             }});
}

TEST(AllocationFailure, LoopsStringsAndSequences) {
  fail_each({"a loop", file_of(counter()),
             [](Calls& calls, inlay_session* s) {
               static const int64_t trips = 3, shape[] = {2};
               static const float start[] = {1, 2};
               const inlay_tensor t{const_cast<int64_t*>(&trips), nullptr, 0, INLAY_I64}, x{const_cast<float*>(start), shape, 1, INLAY_F32};
               calls("set_input", [&] { return inlay_session_set_input(s, 0, &t); });
               calls("set_input", [&] { return inlay_session_set_input(s, 1, &x); });
             },
             [](Calls& calls, inlay_session* s) {
               inlay_value* value = nullptr;
               inlay_tensor y{};
               calls("output_value", [&] { return inlay_session_output_value(s, 0, &value); });
               ASSERT_EQ(inlay_value_tensor(value, &y), INLAY_OK);
               EXPECT_EQ(static_cast<const float*>(y.data)[1], 5);
               inlay_value_release(value);
             }});
  if (testing::Test::HasFailure()) return;
  fail_each({"strings and sequences", file_of(strings_and_sequence()),
             [](Calls& calls, inlay_session* s) {
               static const char* const words[] = {"a word that is longer than a short string", "b"};
               static const int64_t shape[] = {2};
               static const float numbers[] = {1, 2};
               const inlay_tensor x{const_cast<float*>(numbers), shape, 1, INLAY_F32};
               inlay_value *&text = values[0], *&item = values[1], *&list = values[2];
               calls("create_strings", [&] { return inlay_value_create_strings(words, nullptr, shape, 1, &text); });
               calls("create_tensor", [&] { return inlay_value_create_tensor(&x, &item); });
               calls("create_sequence", [&] { return inlay_value_create_sequence(INLAY_F32, &item, 1, &list); });
               calls("set_input_value", [&] { return inlay_session_set_input_value(s, 0, text); });
               calls("set_input_value", [&] { return inlay_session_set_input_value(s, 1, text); });
               calls("set_input", [&] { return inlay_session_set_input(s, 2, &x); });
               calls("set_input_value", [&] { return inlay_session_set_input_value(s, 3, list); });
             },
             [](Calls& calls, inlay_session* s) {
               inlay_value* joined = nullptr;
               calls("output_value", [&] { return inlay_session_output_value(s, 0, &joined); });
               const char* word = nullptr;
               ASSERT_EQ(inlay_value_string(joined, 1, &word, nullptr), INLAY_OK);
               EXPECT_STREQ(word, "bb");
               inlay_value_release(joined);
               inlay_tensor length{};
               calls("output", [&] { return inlay_session_output(s, 2, &length); });
               EXPECT_EQ(*static_cast<const int64_t*>(length.data), 1);
             }});
}
}  // namespace
}  // namespace test
