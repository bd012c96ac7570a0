#include "tools/npy.h"
#include <gtest/gtest.h>
#include <filesystem>
#include <random>
#include "tools/utf8.h"

namespace tools {
namespace {
using namespace engine;

std::string npy(const std::string& dictionary, const std::string& data, int version = 1) {
  std::string text = "\x93NUMPY";
  text += char(version);
  text += '\0';
  const size_t n = dictionary.size();
  for (int k = 0; k < (version == 1 ? 2 : 4); ++k) text += char(n >> 8 * k & 255);
  return text + dictionary + data;
}
std::string dictionary(const std::string& descr, const std::string& shape, const char* fortran = "False") {
  return "{'descr': '" + descr + "', 'fortran_order': " + fortran + ", 'shape': " + shape + ", }\n";
}
Object parse(const std::string& file) { return parse_npy(std::as_bytes(std::span(file))); }
std::string error_of(const std::string& file) {
  try {
    parse(file);
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}
std::vector<double> values(const Object& object) {
  std::vector<double> all;
  for (int64_t i = 0; i < object.view().elements(); ++i) all.push_back(load<double>(object.view(), i));
  return all;
}

TEST(Npy, ReadsEveryVersion) {
  for (int version : {1, 2, 3})
    EXPECT_EQ(values(parse(npy(dictionary("|u1", "(2,)"), "\1\2", version))), (std::vector<double>{1, 2})) << version;
  EXPECT_NE(error_of(npy(dictionary("|u1", "(2,)"), "\1\2", 4)).find("version"), std::string::npos);
}

TEST(Npy, ReadsBothByteOrders) {
  EXPECT_EQ(values(parse(npy(dictionary(">i2", "(2,)"), std::string("\1\0\0\2", 4)))), (std::vector<double>{256, 2}));
  EXPECT_EQ(values(parse(npy(dictionary("<i2", "(2,)"), std::string("\1\0\0\2", 4)))), (std::vector<double>{1, 512}));
  EXPECT_EQ(values(parse(npy(dictionary(">f4", "()"), std::string("\x3f\x80\0\0", 4)))), (std::vector<double>{1}));
}

TEST(Npy, TurnsColumnsIntoRows) {
  EXPECT_EQ(values(parse(npy(dictionary("|i1", "(2, 3)", "True"), "\1\2\3\4\5\6"))),
            (std::vector<double>{1, 3, 5, 2, 4, 6}));
  EXPECT_EQ(values(parse(npy(dictionary("|i1", "(2, 2, 2)", "True"), "\1\2\3\4\5\6\7\10"))),
            (std::vector<double>{1, 5, 3, 7, 2, 6, 4, 8}));
}

TEST(Npy, ReadsStrings) {
  EXPECT_EQ(parse(npy(dictionary("|S3", "(2,)"), std::string("ab\0xyz", 6))).strings,
            (std::vector<std::string>{"ab", "xyz"}));
  EXPECT_EQ(parse(npy(dictionary("<U2", "(1,)"), std::string("\xe9\0\0\0\0\0\0\0", 8))).strings,
            (std::vector<std::string>{"é"}));
  EXPECT_EQ(parse(npy(dictionary(">U1", "(1,)"), std::string("\0\1\xf6\0", 4))).strings,
            (std::vector<std::string>{"😀"}));
}

TEST(Npy, WritesWhatItReads) {
  for (DType dtype : {DType::f16, DType::f32, DType::f64, DType::i8, DType::i16, DType::i32, DType::i64, DType::u8,
                      DType::u16, DType::u32, DType::u64, DType::boolean, DType::string})
    for (const Shape& shape : {Shape{}, Shape{0}, Shape{5}, Shape{2, 3}, Shape{2, 0, 4}, Shape{1, 2, 3, 4}}) {
      Object object;
      const View x = object.set_tensor(dtype, shape);
      for (int64_t i = 0; i < x.elements(); ++i)
        if (dtype == DType::string) object.strings[size_t(i)] = std::string(size_t(i), 'x') + "é";
        else store(x, i, Int(dtype == DType::boolean ? i % 2 : i + 3));
      const std::string file = to_npy(x);
      const Object back = parse(file);
      EXPECT_EQ((file[8] + 10) % 64, 0);
      EXPECT_TRUE(same_contents(*make_constant(back.view()), *make_constant(x))) << name(dtype) << to_text(shape);
    }
}

TEST(Npy, WidensTypesThatNumPyLacks) {
  for (DType dtype : {DType::bf16, DType::f8e4m3fn, DType::f4e2m1, DType::i4, DType::u4, DType::i2}) {
    Object object;
    const View x = object.set_tensor(dtype, Shape{3});
    for (int64_t i = 0; i < 3; ++i) store(x, i, double(i % 2));
    const Object back = parse(to_npy(x));
    EXPECT_EQ(back.dtype, npy_dtype(dtype));
    EXPECT_EQ(values(back), (std::vector<double>{0, 1, 0})) << name(dtype);
  }
}

TEST(Npy, NamesWhatIsWrong) {
  const auto says = [](const std::string& file, const char* what) {
    EXPECT_NE(error_of(file).find(what), std::string::npos) << error_of(file);
  };
  says("", "magic");
  says("PK\3\4 a zip file", "magic");
  says(npy(dictionary("<f4", "(3,)"), "12345678"), "8 bytes");
  says(npy(dictionary("<f4", "(3,)"), "1234567812345"), "13 bytes");
  says(npy(dictionary("|O", "(3,)"), ""), "'|O'");
  says(npy(dictionary("<c8", "(1,)"), "12345678"), "c8");
  says(npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", "1234"), "several fields");
  says(npy("{'descr': '<f4', 'shape': (1,), }", "1234"), "fortran_order");
  says(npy(dictionary("<f4", "(-1,)"), "1234"), "no number");
  says(npy(dictionary("<f4", "(99999999999999999999,)"), "1234"), "no number");
  says(npy(dictionary("<f4", "(4294967296, 4294967296)"), "1234"), "");
  EXPECT_THROW(parse(npy(dictionary("<f4", "(4294967296, 4294967296)"), "1234")), Error);
  EXPECT_THROW(read_npy(std::filesystem::temp_directory_path().string()), Error);
}

TEST(Npy, SurvivesAnyBytes) {
  const std::string good = npy(dictionary("<f4", "(2, 1)"), "12345678");
  for (size_t n = 0; n < good.size(); ++n) EXPECT_THROW(parse(good.substr(0, n)), Error) << n;
  std::mt19937 random(7);
  for (int round = 0; round < 20000; ++round) {
    std::string bad = good;
    for (int k = 0; k < 1 + round % 4; ++k) bad[random() % bad.size()] = char(random());
    try {
      parse(bad);
    } catch (const Error&) {
    }
  }
}

TEST(Utf8, RoundTrips) {
  const std::u32string points{0x24, 0xe9, 0x20ac, 0x1f600, 0x7ff, 0x800, 0xffff, 0x10000, 0x10ffff};
  EXPECT_EQ(from_utf8(to_utf8(points)), points);
  EXPECT_EQ(to_utf8(points.substr(0, 4)), "$é€😀");
}

TEST(Utf8, ReplacesWhatIsNotValid) {
  EXPECT_EQ(from_utf8("a\xff" "b"), (std::u32string{U'a', replacement, U'b'}));
  EXPECT_EQ(from_utf8("\xe2\x82"), (std::u32string{replacement}));       // cut short
  EXPECT_EQ(from_utf8("\xc0\x80"), (std::u32string{replacement, replacement}));  // overlong
  EXPECT_EQ(from_utf8("\xed\xa0\x80").front(), replacement);             // a surrogate
  EXPECT_EQ(to_utf8(std::u32string{0x110000}), "\xef\xbf\xbd");
}
}  // namespace
}  // namespace tools
