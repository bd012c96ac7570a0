// What profile and kernels print for programs: JSON that parses, and numbers that agree.
#include <gtest/gtest.h>
#include <cstdio>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <sys/wait.h>
#include "engine/graph_text.h"
#include "engine/model_file.h"

namespace {
using Json = nlohmann::json;

struct Result {
  int status;
  std::string out;
};
Result inlay(const std::string& arguments) {
  std::FILE* pipe = popen(("'" INLAY_COMMAND "' " + arguments + " 2>/dev/null").c_str(), "r");
  Result result{-1, {}};
  if (!pipe) return result;
  char part[4096];
  while (const size_t n = std::fread(part, 1, sizeof part, pipe)) result.out.append(part, n);
  result.status = WEXITSTATUS(pclose(pipe));
  return result;
}
Json json_of(const std::string& arguments) {
  const Result result = inlay(arguments);
  EXPECT_EQ(result.status, 0) << arguments;
  Json json = Json::parse(result.out, nullptr, false);
  EXPECT_FALSE(json.is_discarded()) << arguments << '\n' << result.out;
  return json;
}

const std::string model = "'" INLAY_SOURCE_DIR "/tools/demo/demo.onnx' --warmup 1ms --duration 30ms --json ";
double sum(const Json& list, const char* field) {
  double total = 0;
  for (const Json& entry : list) total += entry.at(field).get<double>();
  return total;
}

TEST(Profile, StepsAddUp) {
  const Json json = json_of("profile " + model);
  const Json& steps = json.at("steps");
  ASSERT_GT(steps.size(), 10u);
  EXPECT_NEAR(sum(steps, "ms"), json.at("steps_ms").get<double>(), 1e-9);
  EXPECT_NEAR(sum(steps, "share"), 1, 1e-6);
  EXPECT_NEAR(json.at("p50_ms").get<double>(),
              json.at("steps_ms").get<double>() + json.at("outside_steps_ms").get<double>(), 1e-9);
  for (const char* field : {"peak_gflops_per_s", "memory_gb_per_s", "cache_gb_per_s", "p50_ms", "runs"})
    EXPECT_GT(json.at(field).get<double>(), 0) << field;
  for (const Json& step : steps) {
    EXPECT_FALSE(step.at("origins").empty());
    EXPECT_EQ(step.at("calls").get<double>(), 1);
    EXPECT_GT(step.at("ms").get<double>(), 0);
    EXPECT_FALSE(step.contains("refusals"));
  }
}

TEST(Profile, GroupsAddUpToTheirSteps) {
  for (const std::string by : {"kernel", "op"}) {
    const Json json = json_of("profile " + model + "--by " + by);
    const Json& groups = json.at("by_" + by);
    for (const char* field : {"ms", "flops", "bytes", "share"}) {
      std::map<std::string, double> steps;
      for (const Json& step : json.at("steps")) steps[step.at(by)] += step.at(field).get<double>();
      ASSERT_EQ(groups.size(), steps.size());
      for (const Json& group : groups)
        EXPECT_NEAR(group.at(field).get<double>(), steps.at(group.at("name")), 1e-9 * steps.at(group.at("name")))
            << field;
    }
    EXPECT_EQ(sum(groups, "steps"), json.at("steps").size());
    for (size_t i = 1; i < groups.size(); ++i) EXPECT_GE(groups[i - 1].at("ms"), groups[i].at("ms"));
  }
}

TEST(Profile, SortsByTime) {
  const Json steps = json_of("profile " + model + "--sort time").at("steps");
  for (size_t i = 1; i < steps.size(); ++i) EXPECT_GE(steps[i - 1].at("ms"), steps[i].at("ms"));
}

TEST(Profile, ExplainsDispatch) {
  const Json json = json_of("profile " + model + "--dispatch");
  size_t refusals = 0;
  for (const Json& step : json.at("steps"))
    for (const Json& refusal : step.at("refusals")) {
      EXPECT_NE(refusal.at("kernel"), step.at("kernel"));
      EXPECT_FALSE(refusal.at("reason").get<std::string>().empty());
      ++refusals;
    }
  EXPECT_GT(refusals, 0u);
  EXPECT_EQ(inlay("profile " + model + "--dispatch --by op").status, 2);
}

TEST(Profile, WritesATrace) {
  const std::string path = testing::TempDir() + "inlay_trace_test.json";
  const Json json = json_of("profile " + model + "-t 2 --trace '" + path + "'");
  std::ifstream file(path);
  const Json trace = Json::parse(file, nullptr, false);
  ASSERT_FALSE(trace.is_discarded());
  std::remove(path.c_str());
  double end = 0;
  size_t steps = 0;
  for (const Json& event : trace.at("traceEvents")) {
    if (event.at("ph") != "X") continue;
    EXPECT_GE(event.at("ts").get<double>(), end - 1e-3);
    end = event.at("ts").get<double>() + event.at("dur").get<double>();
    ++steps;
  }
  EXPECT_EQ(steps, json.at("steps").size());
}

TEST(Kernels, ListsItsTables) {
  const Json all = json_of("kernels --json"), gemm = json_of("kernels gemm --json");
  EXPECT_GT(all.size(), gemm.size());
  for (const Json& row : all) EXPECT_NE(row.at("available").get<bool>(), row.at("reason").is_string());
  for (const Json& row : gemm) EXPECT_EQ(row.at("family"), "gemm");
  EXPECT_EQ(inlay("kernels nosuch").status, 2);
}

TEST(Kernels, TimesEachThatTakesAProblem) {
  for (const std::string problem :
       {"gemm --bench m5,n20,k30", "gemm --bench m5,n20,k30,dynamic,transposed", "conv --bench 1x8x9x10,oc4,k3,p1",
        "conv --bench 2x8x9x10,oc8,k3x2,s2x1,d1x2,p0x1x2x1,g8", "conv --bench 1x3x9x10,oc4,k3,nchw,strict",
        "pointwise --bench add+softplus+max,n300", "rnn --bench gru,t2,b3,i4,h5",
        "image --bench 64x48,nv12,to20x30,letterbox"}) {
    SCOPED_TRACE(problem);
    const Json json = json_of("kernels " + problem + " --duration 1ms --json");
    size_t timed = 0;
    for (const Json& row : json.at("kernels")) {
      if (!row.at("refusal").is_null()) continue;
      ++timed;
      EXPECT_GT(row.at("ms").get<double>(), 0);
      EXPECT_EQ(row.at("gflops_per_s").get<double>() > 0, json.at("family") != "image");
    }
    EXPECT_GT(timed, 0u);
    EXPECT_TRUE(json.at("selected").is_string());
  }
}

TEST(Kernels, RefusesWhatIsNoProblem) {
  for (const std::string problem : {"gemm --bench m3",
                                    "gemm --bench m1,n2,k0",
                                    "gemm --bench m1,n2,k3,q4",
                                    "gemm --bench m1,n2,k3,m4",
                                    "gemm --bench m1,n2,k3x",
                                    "gemm --bench m1,,k3",
                                    "gemm --bench m1,n2,k99999999999999999999",
                                    "gemm --bench m1x2,n1,k1",
                                    "conv --bench 1x2x3,oc3",
                                    "conv --bench 1x2x3x4",
                                    "conv --bench 1x2x3x4,oc5,k3,p1x2x3",
                                    "conv --bench 1x2x3x4,oc5,k9",
                                    "conv --bench 1x2x3x4,oc5,g3",
                                    "conv --bench 65536x65536x65536x65536,oc5",
                                    "conv --bench 1x2x3x4,oc5,strict1",
                                    "pointwise --bench n4",
                                    "pointwise --bench nosuch,n4",
                                    "rnn --bench foo,t1,b1,i1,h1",
                                    "image --bench 9x9,foo",
                                    "image --bench 9x9,rgb,to3x0",
                                    "nosuch --bench m1",
                                    "--bench m1,n1,k1"})
    EXPECT_EQ(inlay("kernels " + problem).status, 2) << problem;
}
// More runs than the cache has room for.
TEST(Bench, CachesThatGrowStartAnewInEachRun) {
  const std::string path = testing::TempDir() + "growing.inlay";
  engine::save_model(engine::parse_graph("input x f32[1,2,1,4]\n"
                                         "input past f32[1,2,past:0..8,4]\n"
                                         "present = Concat axis=2 (past, x)\n"
                                         "output present\n"
                                         "state 1 0\n"),
                     path);
  const std::string arguments = "'" + path + "' --warmup 1ms --duration 10ms --json --shape past=1x2x7x4";
  EXPECT_GT(json_of("bench " + arguments).at(0).at("runs").get<double>(), 8);
  EXPECT_GT(json_of("profile " + arguments).at("runs").get<double>(), 8);
  std::remove(path.c_str());
}
}  // namespace
