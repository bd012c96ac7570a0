// The bytes of an .inlay file: loaded and run. Checksums are made right first, for nothing gets past wrong ones.
#include "tests/fuzz/checksums.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace fuzz;
  const auto file = std::make_shared<Bytes>();
  file->resize(size);
  if (size) std::memcpy(file->data(), data, size);
  correct_checksums({file->data(), size});
  try {
    const BudgetScope scope(small_budget());
    Graph graph = load_model(std::span<const std::byte>(file->data(), size), file);
    verify(graph);
    run_on_zeros(std::make_shared<const Model>(std::move(graph), small()));
  } catch (const Error& e) {
    if (!*e.what()) finding("an error without a message");
  }
  return 0;
}
