// The runner of ONNX's cases, on cases made here: what it dumps, what it notices, and that it goes on.
#include <cstdlib>
#include <fstream>
#include <gmock/gmock.h>
#include "converter/onnx_tensor.h"
#include "tests/converter/onnx_text.h"
#include "tests/models/golden.h"
#include "tests/models/onnx_value.h"

namespace test {
namespace {
namespace fs = std::filesystem;
using converter::test::model, converter::test::node;
using testing::HasSubstr, testing::Not;

class Conformance : public testing::Test {
 protected:
  // A case in root_/cases: y = Identity(x), x and y of a type in protobuf text, with these values.
  fs::path add_case(const std::string& name, const std::string& type, const Object& x, const Object& y) {
    const auto port = [&](const char* field, const char* port_name) {
      return cat(field, " { name: '", port_name, "' type { ", type, " } } ");
    };
    const fs::path folder = root_ / "cases" / name;
    fs::create_directories(folder);
    std::ofstream file(folder / "model.onnx", std::ios::binary);
    model(25, port("input", "x") + port("output", "y") + node("Identity", {"x"}, {"y"})).SerializeToOstream(&file);
    add_set(folder, 0, x, y);
    return folder;
  }
  static void add_set(const fs::path& folder, int number, const Object& x, const Object& y) {
    const fs::path set = folder / cat("test_data_set_", number);
    fs::create_directories(set);
    write_pb(set / "input_0.pb", x.view()), write_pb(set / "output_0.pb", y.view());
  }

  struct Result {
    int status;
    std::string text;
  };
  // Runs all cases.
  Result run(const std::string& options = {}) const {
    const std::string out = root_ / "out", command = cat(INLAY_CONFORMANCE, ' ', options, ' ',
                                                         (root_ / "cases").string(), " > ", out, " 2>&1");
    const int status = std::system(command.c_str());
    std::ifstream file(out);
    return {WEXITSTATUS(status), {std::istreambuf_iterator<char>(file), {}}};
  }
  std::string write_table(const std::string& rows) const {
    const fs::path path = root_ / "table.tsv";
    std::ofstream(path) << "# folder\tcase\tclass\tgate\treason\n" << rows;
    return "--expect " + path.string();
  }
  const TemporaryFolder folder_;
  const fs::path root_ = folder_.path();
};

Object tensor_of(DType dtype, const Shape& shape, int64_t first = 0) {
  Object x;
  const View view = x.set_tensor(dtype, shape);
  if (dtype == DType::string) {
    for (size_t i = 0; i < x.strings.size(); ++i) x.strings[i] = i ? cat("text ", first + int64_t(i)) : "";
    return x;
  }
  std::fill_n(view.data, view.bytes(), std::byte{});
  for (int64_t i = 0; i < view.elements(); ++i)
    schema::is_real(dtype) ? store(view, i, double((first + i) % 2 + 1)) : store(view, i, Int((first + i) % 2));
  return x;
}
Object holding(ValueKind kind, DType dtype, std::vector<Object> items) {
  Object x;
  x.set_empty(kind, dtype);
  x.items = std::move(items);
  return x;
}
std::string tensor_type(int onnx_dtype) { return cat("tensor_type { elem_type: ", onnx_dtype, " }"); }
const std::string f32 = tensor_type(1);
std::string sequence_of(const std::string& type) { return cat("sequence_type { elem_type { ", type, " } }"); }
std::string optional_of(const std::string& type) { return cat("optional_type { elem_type { ", type, " } }"); }

// What is dumped is read back as it was, and serves as the expected output of the next run.
TEST_F(Conformance, DumpsEveryKindOfValue) {
  std::vector<std::pair<fs::path, Type>> cases;
  const auto add = [&](const std::string& name, const std::string& type, const Object& x) {
    onnx::TypeProto proto;
    ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(type, &proto));
    cases.emplace_back(add_case(name, type, x, x), converter::type_of(proto, "x"));
  };
  int dtypes = 0;
  for (int d = 1; d <= onnx::TensorProto::DataType_MAX; ++d) {
    if (d == onnx::TensorProto::COMPLEX64 || d == onnx::TensorProto::COMPLEX128) continue;
    const DType dtype = converter::dtype_of(d);
    add(cat("tensor_", name(dtype)), tensor_type(d), tensor_of(dtype, {3, 1, 3}));
    ++dtypes;
  }
  EXPECT_EQ(size_t(dtypes), schema::names<DType>.size());
  add("scalar", f32, tensor_of(DType::f32, {}));
  add("no_elements", f32, tensor_of(DType::f32, {2, 0}));
  add("no_strings", tensor_type(8), tensor_of(DType::string, {0}));
  const Object one = tensor_of(DType::f32, {2}), two = tensor_of(DType::f32, {0, 3}),
               word = tensor_of(DType::string, {2});
  const Object sequence = holding(ValueKind::sequence, DType::f32, {one, two});
  add("sequence", sequence_of(f32), sequence);
  add("sequence_empty", sequence_of(f32), holding(ValueKind::sequence, DType::f32, {}));
  add("sequence_strings", sequence_of(tensor_type(8)), holding(ValueKind::sequence, DType::string, {word, word}));
  add("optional", optional_of(f32), holding(ValueKind::optional, DType::f32, {one}));
  add("optional_empty", optional_of(f32), holding(ValueKind::optional, DType::f32, {}));
  add("optional_sequence", optional_of(sequence_of(f32)), holding(ValueKind::optional, DType::f32, {sequence}));

  const Result first = run("--dump " + (root_ / "dump").string());
  EXPECT_EQ(first.status, 0) << first.text;
  EXPECT_THAT(first.text, HasSubstr(cat(cases.size(), " passed, 0 failed")));
  for (const auto& [folder, type] : cases) {
    const fs::path dumped = root_ / "dump" / folder.filename() / "output_0.pb",
                   wanted = folder / "test_data_set_0/output_0.pb";
    EXPECT_EQ(difference(read_pb(dumped, type).view(), read_pb(wanted, type).view(), 0, 0), "") << folder;
    fs::copy_file(dumped, wanted, fs::copy_options::overwrite_existing);
  }
  const Result second = run();
  EXPECT_EQ(second.status, 0) << second.text;
}

TEST_F(Conformance, SetsOfDataAreDumpedApart) {
  const Object x = tensor_of(DType::f32, {2}), z = tensor_of(DType::f32, {3}, 1);
  add_set(add_case("two", f32, x, x), 1, z, z);
  EXPECT_EQ(run("--dump " + (root_ / "dump").string()).status, 0);
  const auto dumped = [&](const char* set) {
    return read_pb(root_ / "dump/two" / set / "output_0.pb", Type::unranked(DType::f32));
  };
  EXPECT_EQ(difference(dumped("test_data_set_0").view(), x.view(), 0, 0), "");
  EXPECT_EQ(difference(dumped("test_data_set_1").view(), z.view(), 0, 0), "");
}

TEST_F(Conformance, NoticesWhatDiffers) {
  const Object x = tensor_of(DType::f32, {2, 2});
  const Object list = holding(ValueKind::sequence, DType::f32, {x, x});
  Object close = x, far = x;
  store(close.view(), 3, 2.0001), store(far.view(), 3, 2.1);
  add_case("close", f32, x, close);
  add_case("value", f32, x, far);
  add_case("shape", f32, x, tensor_of(DType::f32, {4}));
  add_case("dtype", f32, x, tensor_of(DType::f64, {2, 2}));
  add_case("items", sequence_of(f32), list, holding(ValueKind::sequence, DType::f32, {x}));
  add_case("item", sequence_of(f32), list, holding(ValueKind::sequence, DType::f32, {x, far}));
  add_case("empty", optional_of(f32), holding(ValueKind::optional, DType::f32, {}),
           holding(ValueKind::optional, DType::f32, {x}));
  const Result result = run();
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.text, HasSubstr("PASS close\n"));
  EXPECT_THAT(result.text,
              HasSubstr("FAIL value: output 'y' 1 of 4 elements differ, the first at [1,1]: 2 instead of 2.1"));
  EXPECT_THAT(result.text, HasSubstr("FAIL shape: output 'y' is f32[2,2] instead of f32[4]"));
  EXPECT_THAT(result.text, HasSubstr("FAIL dtype: output 'y' is f32[2,2] instead of f64[2,2]"));
  EXPECT_THAT(result.text, HasSubstr("FAIL items: output 'y' has 2 items instead of 1"));
  EXPECT_THAT(result.text, HasSubstr("FAIL item: output 'y' item 1: 1 of 4"));
  EXPECT_THAT(result.text, HasSubstr("FAIL empty: output 'y' has 0 items instead of 1"));
  EXPECT_THAT(result.text, HasSubstr("1 passed, 6 failed"));
}

TEST_F(Conformance, GoesOnAfterWhatIsNoCase) {
  const Object x = tensor_of(DType::f32, {2});
  const fs::path noise = add_case("a_noise", f32, x, x), truncated = add_case("b_truncated", f32, x, x);
  std::ofstream(noise / "model.onnx") << "GIF89a";
  fs::resize_file(truncated / "test_data_set_0/input_0.pb", 3);
  add_case("c_right", f32, x, x);
  const Result result = run();
  EXPECT_THAT(result.text, HasSubstr("FAIL a_noise: "));
  EXPECT_THAT(result.text, HasSubstr("FAIL b_truncated: "));
  EXPECT_THAT(result.text, HasSubstr("PASS c_right"));
  EXPECT_EQ(run("--seconds x").status, 2);
  EXPECT_EQ(run("--unknown").status, 2);
}

TEST_F(Conformance, TheTableIsHeldTo) {
  const Object x = tensor_of(DType::f32, {2});
  add_case("right", f32, x, x);
  add_case("wrong", f32, x, tensor_of(DType::f32, {3}));
  const std::string row = "cases\twrong\tcore\tok\tinstead of f32[3]\n";
  const Result as_listed = run(write_table(row));
  EXPECT_EQ(as_listed.status, 0) << as_listed.text;
  EXPECT_THAT(as_listed.text, Not(HasSubstr("not as ")));
  const auto expect = [&](const std::string& rows, const char* words) {
    const Result result = run(write_table(rows));
    EXPECT_EQ(result.status, 1);
    EXPECT_THAT(result.text, HasSubstr(words));
  };
  expect("", "wrong fails, and is not listed");
  expect(row + "cases\tright\tcore\tok\tsomething\n", "right passes, and is listed");
  expect("cases\twrong\tcore\tok\tdied of signal\n", "wrong fails for another reason");
  expect(row + "cases\tgone\tcore\tok\tsomething\n", "gone is listed, and not there");
  expect("cases\twrong\tcore\n", "five fields");
  EXPECT_EQ(run(write_table(row + "other\tgone\tcore\tok\tsomething\n")).status, 0);
}
}  // namespace
}  // namespace test
