#define XXH_INLINE_ALL
#include "engine/model_file.h"
#include <algorithm>
#include <bit>
#include <map>
#include <xxhash.h>
#include "engine/graph_proto.h"
#include "engine/number.h"
#include "engine/packed_section.h"
#include "kernels/os.h"

namespace engine {
namespace {
static_assert(std::endian::native == std::endian::little, "the format is little-endian, and mapped as it is");

constexpr unsigned char magic[8] = {0x89, 'I', 'N', 'L', 'A', 'Y', '\r', '\n'};
constexpr uint32_t format_version = 1, max_sections = 64, must_understand = 1;
enum Kind : uint32_t { graph_section = 1, weights_section = 2, packed_section = 3 };

struct Header {
  unsigned char magic[8];
  uint32_t version, sections;
  uint64_t file_size, table_checksum;
};
struct Section {
  uint32_t kind, flags;
  uint64_t offset, size, checksum, zero;
};
static_assert(sizeof(Header) == 32 && sizeof(Section) == 40);

using Span = std::span<const std::byte>;
template <class T> Span bytes_of_array(std::span<const T> items) { return std::as_bytes(items); }
uint64_t checksum(Span bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

struct Parsed {
  std::vector<Section> table;
  const Section* find(uint32_t kind) const {
    const auto it = std::ranges::find(table, kind, &Section::kind);
    return it == table.end() ? nullptr : &*it;
  }
};

Parsed parse(Span file) {
  const auto check = [](bool ok, const auto&... what) { require(ok, Code::invalid_model, what...); };
  check(is_model_file(file), "not a .inlay file: its first bytes are not the magic number");
  check(file.size() >= sizeof(Header), "truncated: ", file.size(), " bytes are less than a header");
  Header header;
  std::memcpy(&header, file.data(), sizeof header);
  require(header.version <= format_version, Code::unsupported, "format version ", header.version, " is newer than this build, which reads up to ", format_version);
  check(header.version > 0, "format version 0 does not exist");
  check(header.sections >= 1 && header.sections <= max_sections, header.sections, " sections are not 1 to ", max_sections);
  const uint64_t table_end = sizeof(Header) + header.sections * sizeof(Section);
  check(header.file_size <= file.size(), "truncated: ", file.size(), " bytes of ", header.file_size);
  check(table_end <= header.file_size, "truncated: the section table does not fit");
  Parsed parsed;
  parsed.table.resize(header.sections);
  std::memcpy(parsed.table.data(), file.data() + sizeof(Header), header.sections * sizeof(Section));
  check(checksum(file.subspan(sizeof(Header), header.sections * sizeof(Section))) == header.table_checksum, "the section table is damaged: its checksum differs");
  uint64_t end = table_end;
  std::vector<Section> by_offset = parsed.table;
  std::ranges::sort(by_offset, {}, &Section::offset);
  for (const Section& s : by_offset) {
    check(s.offset >= end && s.offset <= header.file_size && s.size <= header.file_size - s.offset, "section of kind ", s.kind, " lies outside the file or overlaps another");
    check(s.offset % (s.kind == weights_section || s.kind == packed_section ? 4096 : 64) == 0, "section of kind ", s.kind, " is not aligned");
    end = s.offset + s.size;
  }
  for (const Section& s : parsed.table) {
    const bool known = s.kind == graph_section || s.kind == weights_section || s.kind == packed_section;
    require(known || !(s.flags & must_understand), Code::unsupported, "a section of kind ", s.kind, " needs a newer Inlay");
    check(!known || std::ranges::count(parsed.table, s.kind, &Section::kind) == 1, "two sections of kind ", s.kind);
  }
  check(parsed.find(graph_section), "there is no graph section");
  return parsed;
}

// What constants of a file keep alive.
struct Opened {
  std::shared_ptr<const void> memory;
  StoredPackings packed;
};

// `memory`: of the file, where it is known. A copy of the file gives its packed weights up: it would hold weights twice.
Graph read(Span file, std::shared_ptr<const void> owner, const kernels::os::Memory* memory, LoadMode mode) {
  const Parsed parsed = parse(file);
  const Section& graph = *parsed.find(graph_section);
  const Span section = file.subspan(graph.offset, graph.size);
  require(checksum(section) == graph.checksum, Code::invalid_model, "the graph section is damaged: its checksum differs");
  const Section* const contents = parsed.find(weights_section);
  Weights weights;
  if (contents) weights.bytes = file.subspan(contents->offset, contents->size);
  const auto opened = std::make_shared<Opened>(Opened{std::move(owner), StoredPackings(weights.bytes.data())});
  weights.owner = opened, weights.mapping = mode == LoadMode::map ? memory : nullptr;
  if (const Section* packed = parsed.find(packed_section); packed && contents) {
    weights.stored = &opened->packed;
    if (memory && mode == LoadMode::copy) opened->packed.refuse("the file was copied into memory"), memory->release_pages(packed->offset, packed->size);
    else read_packed(file.subspan(packed->offset, packed->size), contents->checksum, opened->packed);
  }
  return read_graph(section, weights);
}

std::shared_ptr<kernels::os::Memory> open(const std::string& path, LoadMode mode) {
  auto memory = std::make_shared<kernels::os::Memory>();
  const auto status = mode == LoadMode::map ? kernels::os::Memory::map_file(path, *memory) : kernels::os::Memory::read_file(path, *memory);
  require(status.ok(), Code::io, status.message);
  return memory;
}
}  // namespace

bool is_model_file(Span first) { return first.size() >= sizeof magic && std::memcmp(first.data(), magic, sizeof magic) == 0; }

void save_model(const Graph& graph, const std::string& path, std::span<const PackedFor> packed) {
  std::vector<Span> parts;  // of the weights section
  std::map<const std::byte*, uint64_t> known;
  uint64_t weights_size = 0;
  static constexpr std::byte zeros[4096] = {};
  const auto pad = [&](std::vector<Span>& to, uint64_t size, uint64_t alignment) { to.emplace_back(zeros, round_up(size, alignment) - size); };
  const auto place = [&](const Constant& c) {
    const auto [it, fresh] = known.try_emplace(c.data, round_up(weights_size, 64));
    if (fresh) {
      pad(parts, weights_size, 64);
      parts.emplace_back(c.data, c.bytes());
      weights_size = it->second + c.bytes();
    }
    return it->second;
  };
  // What runs read as it is stored, biases above all, lies together: a touch of it may bring in megabytes of weights around it, which
  // nothing reads once they are packed.
  write_graph(graph, [&](const Constant& c) { return c.bytes() <= Constant::small ? place(c) : 0; });
  const std::string text = write_graph(graph, place);
  XXH3_state_t state;
  XXH3_64bits_reset(&state);
  for (Span part : parts) XXH3_64bits_update(&state, part.data(), part.size());

  const uint64_t weights_checksum = XXH3_64bits_digest(&state);
  const PackedSection cache = describe_packed(packed, [&](const std::byte* data) {
    const auto found = known.find(data);
    return found == known.end() ? std::nullopt : std::optional(found->second);
  }, weights_checksum);
  std::vector<Span> cache_parts{bytes_of_array(std::span<const char>(cache.index))};
  uint64_t cache_size = cache.index.size();
  for (const auto& [offset, p] : cache.parts) {
    cache_parts.emplace_back(p->packed.get(), p->bytes);
    pad(cache_parts, cache_size = offset + p->bytes, 64);
  }
  XXH3_64bits_reset(&state);
  for (Span part : cache_parts) XXH3_64bits_update(&state, part.data(), part.size());

  std::vector<Section> table(cache.parts.empty() ? 2 : 3);
  const uint64_t table_size = table.size() * sizeof(Section);
  const uint64_t graph_offset = round_up(sizeof(Header) + table_size, 64), weights_offset = round_up(graph_offset + text.size(), 4096);
  const uint64_t weights_end = weights_offset + weights_size, cache_offset = round_up(weights_end, 4096);
  table[0] = {graph_section, 0, graph_offset, text.size(), checksum(bytes_of_array(std::span<const char>(text))), 0};
  table[1] = {weights_section, 0, weights_offset, weights_size, weights_checksum, 0};
  if (table.size() > 2) table[2] = {packed_section, 0, cache_offset, cache.size, XXH3_64bits_digest(&state), 0};
  Header header{{}, format_version, uint32_t(table.size()), table.back().offset + table.back().size, checksum(bytes_of_array(std::span<const Section>(table)))};
  std::ranges::copy(magic, header.magic);

  std::vector<Span> file{bytes_of_array(std::span<const Header>(&header, 1)), bytes_of_array(std::span<const Section>(table))};
  pad(file, sizeof(Header) + table_size, 64);
  file.push_back(bytes_of_array(std::span<const char>(text)));
  pad(file, graph_offset + text.size(), 4096);
  file.insert(file.end(), parts.begin(), parts.end());
  if (table.size() > 2) {
    pad(file, weights_end, 4096);
    file.insert(file.end(), cache_parts.begin(), cache_parts.end());
  }
  const auto status = kernels::os::write_file(path, file);
  require(status.ok(), Code::io, status.message);
}

Graph load_model(const std::string& path, LoadMode mode) {
  const auto memory = open(path, mode);
  return with_context([&] { return read({memory->data(), memory->size()}, memory, memory.get(), mode); }, path);
}

Graph load_model(Span file, std::shared_ptr<const void> owner) { return read(file, std::move(owner), nullptr, LoadMode::map); }

void verify_file(const std::string& path) {
  const auto memory = open(path, LoadMode::map);
  with_context([&] {
    const Span file(memory->data(), memory->size());
    for (const Section& s : parse(file).table)
      require(checksum(file.subspan(s.offset, s.size)) == s.checksum, Code::invalid_model, "the section of kind ", s.kind, " is damaged: its checksum differs");
  }, path);
}
}  // namespace engine
