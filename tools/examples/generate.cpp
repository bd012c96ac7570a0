// Text, token by token, by a GPT-2- or Llama-style model whose caches the session owns; the likeliest token each time.
//   inlay convert llama.onnx -o llama.inlay --state 'past_key_values.*=present.*' --bound past_sequence_length=2047 --bound total_sequence_length=2048
//   generate_cpp llama.inlay 16 1 450 7483 310     (how many tokens to add, then the prompt's)
// The prompt and the tokens behind it run by two plans, which share their weights and stay as the caches grow.
#include <inlay/inlay.hpp>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <numeric>

namespace {
bool starts_with(const char* text, const char* with) { return std::strncmp(text, with, std::strlen(with)) == 0; }

bool has_input(const inlay::Model& model, const char* name) {
  for (size_t k = 0; k < model.inputs(); ++k)
    if (std::strcmp(model.input(k).name, name) == 0) return true;
  return false;
}

// Caches begin empty: what is open in them is 0 tokens, of one sequence. Others begin with zeros by themselves.
void set_empty_caches(const inlay::Model& model, inlay::Session& session) {
  static const float none = 0;
  for (size_t k = 0; k < model.inputs(); ++k) {
    const inlay_value_info info = model.input(k);
    std::vector<int64_t> shape(info.shape, info.shape + info.rank);
    for (size_t d = 0; d < shape.size(); ++d)
      if (shape[d] < 0) shape[d] = starts_with(info.symbols[d], "batch") ? 1 : 0;
    if (starts_with(info.name, "past") && std::count(shape.begin(), shape.end(), 0)) session.set_input(k, inlay::view(&none, shape));
  }
}
}  // namespace

int main(int argc, char** argv) try {
  if (argc < 4) return std::fprintf(stderr, "usage: %s model.inlay TOKENS PROMPT…\n", argv[0]), 2;
  const inlay::Model model = inlay::Model::load(argv[1]);
  inlay::Session session(model);
  set_empty_caches(model, session);
  std::vector<int64_t> ids, positions, mask;
  for (int i = 3; i < argc; ++i) ids.push_back(std::atoll(argv[i]));
  for (int64_t i = 0, count = std::atoll(argv[2]); i < count; ++i) {
    const int64_t length = int64_t(ids.size()), seen = int64_t(mask.size());
    positions.resize(ids.size());
    std::iota(positions.begin(), positions.end(), seen);
    mask.assign(size_t(seen + length), 1);
    session.set_input("input_ids", inlay::view(ids, {1, length}));
    if (has_input(model, "attention_mask")) session.set_input("attention_mask", inlay::view(mask, {1, seen + length}));
    if (has_input(model, "position_ids")) session.set_input("position_ids", inlay::view(positions, {1, length}));
    const inlay::TensorView logits = session.run()["logits"];  // [1,tokens,words]
    const float* last = logits.as<const float>() + (length - 1) * logits.shape()[2];
    ids.assign(1, std::max_element(last, last + logits.shape()[2]) - last);
    std::printf("%s%lld", i ? " " : "", static_cast<long long>(ids[0]));
  }
  std::printf("\n");
} catch (const inlay::Error& e) {
  return std::fprintf(stderr, "%s\n", e.what()), 1;
}
