#include "tools/npy.h"
#include <bit>
#include <charconv>
#include "kernels/os.h"
#include "tools/utf8.h"

namespace tools {
using namespace engine;
namespace {
static_assert(std::endian::native == std::endian::little);
constexpr std::string_view magic = "\x93NUMPY";

struct Row {
  DType dtype;
  std::string_view descr, name;  // descr is empty where NumPy has no such type
};
constexpr Row rows[] = {
    {DType::f32, "f4", "float32"},
    {DType::f64, "f8", "float64"},
    {DType::f16, "f2", "float16"},
    {DType::bf16, "", "bfloat16"},
    {DType::i8, "i1", "int8"},
    {DType::i16, "i2", "int16"},
    {DType::i32, "i4", "int32"},
    {DType::i64, "i8", "int64"},
    {DType::u8, "u1", "uint8"},
    {DType::u16, "u2", "uint16"},
    {DType::u32, "u4", "uint32"},
    {DType::u64, "u8", "uint64"},
    {DType::boolean, "b1", "bool"},
    {DType::string, "U", "string"},
    {DType::f8e4m3fn, "", "float8_e4m3fn"},
    {DType::f8e4m3fnuz, "", "float8_e4m3fnuz"},
    {DType::f8e5m2, "", "float8_e5m2"},
    {DType::f8e5m2fnuz, "", "float8_e5m2fnuz"},
    {DType::f8e8m0, "", "float8_e8m0fnu"},
    {DType::f4e2m1, "", "float4_e2m1fn"},
    {DType::i4, "", "int4"},
    {DType::u4, "", "uint4"},
    {DType::i2, "", "int2"},
    {DType::u2, "", "uint2"},
};
static_assert(std::size(rows) == schema::names<DType>.size());
const Row& row(DType dtype) { return *std::ranges::find(rows, dtype, &Row::dtype); }

template <class... Parts> void check(bool ok, const Parts&... what) {
  require(ok, Code::invalid_argument, "not a valid .npy file: ", what...);
}

struct Header {
  char byte_order = 0, kind = 0;
  int64_t item = 0;  // the number in the type: bytes, or characters of a U
  bool fortran_order = false;
  Shape shape;
};

// The header is a Python dictionary of three known keys.
class HeaderReader {
 public:
  explicit HeaderReader(std::string_view text) : text_(text) {}

  Header read() {
    expect('{');
    bool descr = false, order = false, shape = false;
    while (!take('}')) {
      const std::string_view key = quoted();
      expect(':');
      if (key == "descr") read_descr(), descr = true;
      else if (key == "fortran_order") header_.fortran_order = truth(), order = true;
      else if (key == "shape") read_shape(), shape = true;
      else check(false, "its header has the unknown key '", key, "'");
      if (!take(',')) {
        expect('}');
        break;
      }
    }
    check(descr && order && shape, "its header lacks descr, fortran_order or shape");
    return std::move(header_);
  }

 private:
  bool take(char c) {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  void expect(char c) { check(take(c), "its header has no '", c, "' at character ", at_); }
  std::string_view quoted() {
    const char quote = take('"') ? '"' : '\'';
    if (quote == '\'') expect('\'');
    const size_t end = text_.find(quote, at_);
    check(end != std::string_view::npos, "its header ends within a string");
    const std::string_view word = text_.substr(at_, end - at_);
    at_ = end + 1;
    return word;
  }
  int64_t number() {
    take(0);  // skips spaces
    int64_t n = 0;
    const auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), n);
    check(error == std::errc() && n >= 0, "its header has no number at character ", at_);
    at_ = size_t(end - text_.data());
    return n;
  }
  bool truth() {
    take(0);
    for (const auto& [word, value] : {std::pair<std::string_view, bool>{"True", true}, {"False", false}})
      if (text_.substr(at_).starts_with(word)) return at_ += word.size(), value;
    check(false, "fortran_order is neither True nor False");
    return false;
  }
  void read_descr() {
    check(!take('['), "records of several fields are not supported");
    const std::string_view descr = quoted();
    check(descr.size() >= 3 && std::string_view("<>|=").find(descr[0]) != std::string_view::npos, "its type is '",
          descr, "'");
    header_.byte_order = descr[0], header_.kind = descr[1];
    const auto [end, error] = std::from_chars(descr.data() + 2, descr.data() + descr.size(), header_.item);
    check(
        error == std::errc() && end == descr.data() + descr.size() && header_.item >= 0 && header_.item <= limits::name,
        "its type is '", descr, "'");
  }
  void read_shape() {
    expect('(');
    while (!take(')')) {
      header_.shape.push_back(number());
      check(int64_t(header_.shape.size()) <= limits::rank, "it has more than ", limits::rank, " dimensions");
      if (!take(',')) {
        expect(')');
        break;
      }
    }
  }

  std::string_view text_;
  size_t at_ = 0;
  Header header_;
};

// Splits a file into its header and its data.
std::pair<Header, std::span<const std::byte>> split(std::span<const std::byte> file) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(file.data());
  check(file.size() >= 10 && std::string_view(reinterpret_cast<const char*>(bytes), magic.size()) == magic,
        "it does not begin with the magic string");
  const int version = bytes[6];
  check(version >= 1 && version <= 3, "its version is ", version, ", not 1 to 3");
  const size_t start = version == 1 ? 10 : 12;
  check(file.size() >= start, "it is truncated");
  uint32_t length = bytes[8] | uint32_t(bytes[9]) << 8;
  if (version > 1) length |= uint32_t(bytes[10]) << 16 | uint32_t(bytes[11]) << 24;
  check(length <= file.size() - start, "it is truncated in its header");
  return {HeaderReader({reinterpret_cast<const char*>(bytes) + start, length}).read(), file.subspan(start + length)};
}

// `data` in row-major order and with the lowest byte first. `unit`: bytes that the byte order applies to.
std::vector<std::byte> normalise(const Header& h, std::span<const std::byte> data, int64_t bytes, int64_t unit) {
  std::vector<std::byte> out(data.begin(), data.end());
  if (h.fortran_order && h.shape.size() > 1 && !out.empty()) {
    Shape stride(h.shape.size(), 1), index(h.shape.size(), 0);
    for (size_t d = 1; d < stride.size(); ++d) stride[d] = stride[d - 1] * h.shape[d - 1];
    int64_t from = 0;
    for (int64_t i = 0; i * bytes < int64_t(out.size()); ++i) {
      std::memcpy(out.data() + i * bytes, data.data() + from * bytes, size_t(bytes));
      for (size_t d = h.shape.size(); d-- > 0; from -= stride[d] * index[d], index[d] = 0) {
        from += stride[d];
        if (++index[d] < h.shape[d]) break;
      }
    }
  }
  if (h.byte_order == '>' && unit > 1)
    for (size_t i = 0; i < out.size(); i += size_t(unit))
      std::reverse(out.begin() + int64_t(i), out.begin() + int64_t(i) + unit);
  return out;
}

std::string string_at(const std::byte* at, const Header& h) {
  std::string text;
  if (h.kind == 'S') {
    text.assign(reinterpret_cast<const char*>(at), size_t(h.item));
    text.erase(text.find_last_not_of('\0') + 1);
    return text;
  }
  std::u32string points(size_t(h.item), U'\0');
  std::memcpy(points.data(), at, points.size() * 4);
  points.erase(points.find_last_not_of(U'\0') + 1);
  return to_utf8(points);
}

std::string header(std::string_view descr, std::span<const int64_t> shape) {
  std::string text = cat("{'descr': '", descr, "', 'fortran_order': False, 'shape': (");
  for (int64_t extent : shape) text += std::to_string(extent) + ", ";
  if (shape.size() > 1) text.resize(text.size() - 2);
  if (shape.size() == 1) text.pop_back();
  text += "), }";
  text.append(63 - (10 + text.size()) % 64, ' ').push_back('\n');
  return cat(magic, '\1', '\0', char(text.size() & 255), char(text.size() >> 8), text);
}
}  // namespace

std::string_view numpy_name(DType dtype) { return row(dtype).name; }
DType npy_dtype(DType dtype) {
  if (!row(dtype).descr.empty()) return dtype;
  if (schema::is_real(dtype)) return DType::f32;
  return dtype == DType::u4 || dtype == DType::u2 ? DType::u8 : DType::i8;
}

bool is_npy(std::span<const std::byte> file) {
  return file.size() >= magic.size() && std::memcmp(file.data(), magic.data(), magic.size()) == 0;
}

Object parse_npy(std::span<const std::byte> file) {
  const auto [h, data] = split(file);
  const bool text = h.kind == 'U' || h.kind == 'S';
  const auto* found = std::ranges::find(rows, std::string(1, h.kind) + std::to_string(h.item),
                                        [](const Row& r) { return std::string(r.descr); });
  require(text || (found != std::end(rows)), Code::unsupported, "elements of NumPy type '", h.kind, h.item,
          "' are not supported");
  const int64_t bytes = h.kind == 'U' ? h.item * 4 : h.item;
  const int64_t count = elements(h.shape);
  check(bytes > 0 || count == 0, "its elements have no bytes");
  check(bytes == 0 ? data.empty() : int64_t(data.size()) / bytes == count && int64_t(data.size()) % bytes == 0,
        "it has ", data.size(), " bytes of data where the shape ", to_text(h.shape), " of ", bytes,
        "-byte elements needs another number");
  const auto raw = normalise(h, data, bytes, h.kind == 'U' ? 4 : text ? 1 : bytes);
  Object object;
  const View view = object.set_tensor(text ? DType::string : found->dtype, h.shape);
  if (!text && !raw.empty()) std::memcpy(view.data, raw.data(), raw.size());
  if (text)
    for (int64_t i = 0; i < count; ++i) object.strings[size_t(i)] = string_at(raw.data() + i * bytes, h);
  return object;
}

Object read_npy(const std::string& path) {
  kernels::os::Memory memory;
  const auto status = kernels::os::Memory::map_file(path, memory);
  require(status.ok(), Code::io, status.message);
  return with_context([&] { return parse_npy({memory.data(), memory.size()}); }, path);
}

std::string to_npy(const ConstView& x) {
  if (x.dtype == DType::string) {
    std::vector<std::u32string> all;
    size_t longest = 1;
    for (const std::string& s : x.as<std::string>()) longest = std::max(longest, all.emplace_back(from_utf8(s)).size());
    std::string file = header("<U" + std::to_string(longest), x.shape);
    for (std::u32string& s : all) {
      s.resize(longest);
      file.append(reinterpret_cast<const char*>(s.data()), longest * 4);
    }
    return file;
  }
  const DType dtype = npy_dtype(x.dtype);
  Object widened;
  ConstView from = x;
  if (dtype != x.dtype) {
    const View to = widened.set_tensor(dtype, x.shape);
    for (int64_t i = 0; i < x.elements(); ++i) store(to, i, load<double>(x, i));
    from = to;
  }
  std::string file = header(cat(bits_of(dtype) == 8 ? '|' : '<', row(dtype).descr), x.shape);
  if (from.bytes() > 0) file.append(reinterpret_cast<const char*>(from.data), size_t(from.bytes()));
  return file;
}

void write_npy(const std::string& path, const ConstView& x) {
  const std::string file = to_npy(x);
  const auto status = kernels::os::write_file(path, std::as_bytes(std::span(file)));
  require(status.ok(), Code::io, status.message);
}
}  // namespace tools
