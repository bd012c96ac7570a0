// For libFuzzer: files whose graph section stays a message.
#include "inlay.pb.h"
#include "tests/fuzz/mutate_message.h"
#include <cstring>

namespace {
struct File {
  std::string before, after;  // what stands around the graph section
  size_t row = 0;
  inlay::Graph graph;
};

// Of a file whose first row of the section table is the graph's, as save_model writes it.
bool read(File& file, const uint8_t* data, size_t size) {
  uint32_t kind;
  uint64_t place[2];
  if (size < 72) return false;
  std::memcpy(&kind, data + 32, 4), std::memcpy(place, data + 40, 16);
  if (kind != 1 || place[0] < 72 || place[0] > size || place[1] > size - place[0]) return false;
  const auto* text = reinterpret_cast<const char*>(data);
  file.before.assign(text, place[0]), file.after.assign(text + place[0] + place[1], size - place[0] - place[1]);
  const google::protobuf::LogSilencer silence;
  return file.graph.ParsePartialFromArray(data + place[0], int(place[1]));
}

// What stands behind the section moves by whole pages.
size_t write(File& file, uint8_t* data, size_t max_size) {
  const google::protobuf::LogSilencer silence;
  const std::string section = file.graph.SerializePartialAsString();
  uint64_t old, size = section.size(), weights, file_size;
  std::memcpy(&old, file.before.data() + 48, 8);
  std::memcpy(file.before.data() + 48, &size, 8);
  const uint64_t end_old = file.before.size() + old, end = file.before.size() + size;
  const int64_t pages = end > end_old + file.after.size() || end > end_old ? int64_t(end - end_old + 4095) / 4096 : 0;
  if (file.before.size() >= 112) {
    std::memcpy(&weights, file.before.data() + 80, 8);
    weights += uint64_t(pages) * 4096;
    std::memcpy(file.before.data() + 80, &weights, 8);
  }
  std::memcpy(&file_size, file.before.data() + 16, 8);
  file_size += uint64_t(pages) * 4096;
  std::memcpy(file.before.data() + 16, &file_size, 8);
  const std::string gap(size_t(end_old + uint64_t(pages) * 4096 - end), '\0');
  const std::string all = file.before + section + gap + file.after;
  if (all.size() > max_size) return 0;
  std::memcpy(data, all.data(), all.size());
  return all.size();
}
}  // namespace

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned seed) {
  File file;
  if (seed % 16 == 0 || !read(file, data, size)) return LLVMFuzzerMutate(data, size, max_size);
  fuzz::mutate(file.graph, nullptr, seed);
  const size_t written = write(file, data, max_size);
  return written ? written : size;
}

extern "C" size_t LLVMFuzzerCustomCrossOver(const uint8_t* a, size_t a_size, const uint8_t* b, size_t b_size, uint8_t* out, size_t max_size, unsigned seed) {
  File file, other;
  if (!read(file, a, a_size) || !read(other, b, b_size)) return 0;
  fuzz::mutate(file.graph, &other.graph, seed | 1);
  return write(file, out, max_size);
}
