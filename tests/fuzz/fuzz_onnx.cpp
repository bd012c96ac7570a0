// The bytes of an .onnx file: imported, passed through the portable passes, saved, read again and run.
#include "converter/convert.h"
#include "tests/engine/stored_graph.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace fuzz;
  Graph graph;
  try {
    const BudgetScope scope(small_budget());
    graph = converter::import_onnx_bytes(std::as_bytes(std::span(data, size)));
    verify(graph);
    run_passes(graph, converter::pipeline());
  } catch (const Error& e) {
    if (!*e.what()) finding("an error without a message");
    return 0;
  }
  try {
    const BudgetScope scope(small_budget());
    verify(graph);
    const auto stored = engine::test::store(graph);
    engine::test::read(stored.section, stored.weights);
  } catch (const Error& e) {
    if (e.code != Code::limit) finding(cat("what the passes leave is not a valid model: ", e.what()));
  }
  try {
    run_on_zeros(std::make_shared<const Model>(std::move(graph), small()));
  } catch (const Error& e) {
    if (!*e.what()) finding("an error without a message");
  }
  return 0;
}
