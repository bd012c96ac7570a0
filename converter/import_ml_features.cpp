// ai.onnx.ml: what makes features out of data. Most are compositions of plain ops.
#include <cmath>
#include "converter/ml.h"

namespace converter {
namespace {
using schema::BinaryKind, schema::ReduceKind, schema::UnaryKind;

// Elements of the last dim at the places that input 1 lists; a vector becomes one row.
void array_feature_extractor(OnnxNode& n) {
  n.expect_inputs(2, 2);
  n.expect_dtype(0, {DType::f32, DType::f64, DType::i32, DType::i64, DType::string});
  const ValueId indices = n.reshape(n.cast(n.in(1), DType::i64), {-1});
  const ValueId y = n.add(schema::Gather{-1}, {n.in(0), indices});
  n.set(0, n.rank(0) == 1 ? n.unsqueeze(y, {0}) : y);
}

void binarizer(OnnxNode& n) {
  n.expect_inputs(1, 1);
  expect_numbers(n);
  const DType dtype = n.dtype(0);
  double threshold = n.real("threshold", 0);
  if (!schema::is_real(dtype)) threshold = std::floor(threshold);  // x > 0.5 is x > 0 for integers
  n.set(0, n.cast(n.binary(BinaryKind::greater, n.in(0), threshold), dtype));
}

// One value, or one per feature.
ValueId per_feature(OnnxNode& n, DType dtype, std::span<const double> values, const char* what) {
  check(!values.empty(), "attribute ", what, " is missing");
  const Dim features = n.type(0).dims.empty() ? Dim(1) : n.type(0).dims.back();
  check(values.size() == 1 || may_equal(features, int64_t(values.size())), "attribute ", what, " has ", values.size(), " values for ",
        features.text(), " features");
  return list(n, dtype, values);
}

void scaler(OnnxNode& n) {
  n.expect_inputs(1, 1);
  expect_numbers(n);
  n.rank(0);
  ValueId y = n.cast(n.in(0), DType::f32);
  if (const auto offset = n.reals("offset"); !offset.empty()) y = n.binary(BinaryKind::sub, y, per_feature(n, DType::f32, offset, "offset"));
  if (const auto scale = n.reals("scale"); !scale.empty()) y = n.binary(BinaryKind::mul, y, per_feature(n, DType::f32, scale, "scale"));
  n.set(0, y);
}

void imputer(OnnxNode& n) {
  n.expect_inputs(1, 1);
  expect_numbers(n);
  n.rank(0);
  const DType dtype = n.dtype(0);
  const bool real = schema::is_real(dtype);
  const auto floats = n.reals("imputed_value_floats");
  const schema::Ints ints = n.integers("imputed_value_int64s");
  const double missing = n.real("replaced_value_float", 0);
  const int64_t missing_int = n.integer("replaced_value_int64", 0);
  const std::vector<double> values = real ? floats : std::vector<double>(ints.begin(), ints.end());
  const ValueId imputed = per_feature(n, dtype, values, real ? "imputed_value_floats" : "imputed_value_int64s");
  const ValueId replaced = real && std::isnan(missing) ? n.unary(UnaryKind::is_nan, n.in(0))
                                                       : n.binary(BinaryKind::equal, n.in(0), n.constant(real ? make_scalar(dtype, missing) : make_scalar(dtype, missing_int)));
  n.set(0, n.add(schema::Where{}, {replaced, imputed, n.in(0)}));
}

// A row without anything but zeros stays as it is.
void normalizer(OnnxNode& n) {
  n.expect_inputs(1, 1);
  expect_numbers(n);
  const ReduceKind kind = n.choice<ReduceKind>("norm", "MAX", {{"MAX", ReduceKind::max}, {"L1", ReduceKind::l1}, {"L2", ReduceKind::l2}});
  const int64_t last = -1;
  const ValueId x = n.cast(n.in(0), DType::f32), norm = n.reduce(kind, x, std::span(&last, 1));
  const ValueId none = n.binary(BinaryKind::equal, norm, 0.0);
  n.set(0, n.binary(BinaryKind::div, x, n.add(schema::Where{}, {none, n.scalar_like(norm, 1), norm})));
}

// The inputs side by side, each cut or filled up with zeros to its dimension.
void feature_vectorizer(OnnxNode& n) {
  n.expect_inputs(1, size_t(limits::ports));
  for (size_t k = 0; k < n.inputs(); ++k) expect_numbers(n, k);
  const schema::Ints widths = n.integers("inputdimensions");
  check(widths.size() == n.inputs(), "attribute inputdimensions has ", widths.size(), " values for ", n.inputs(), " inputs");
  ValueIds parts;
  for (size_t k = 0; k < n.inputs(); ++k) {
    check(widths[k] >= 0 && widths[k] < limits::extent, "attribute inputdimensions has ", widths[k]);
    ValueId x = rows_of(n, k, DType::f32);
    const Dim width = n.type(x).dims[1];
    if (!(width == Dim(widths[k]))) {
      const ValueId more = n.binary(BinaryKind::sub, n.ints({widths[k]}), n.add(schema::Shape{1, 2}, {x}));
      x = n.add(schema::Pad{}, {x, n.add(schema::Concat{}, {n.ints({0}), more}), n.scalar_like(x, 0), n.ints({1})});
    }
    parts.push_back(x);
  }
  n.set(0, parts.size() == 1 ? parts[0] : n.add(schema::Concat{1}, parts));
}

void one_hot_encoder(OnnxNode& n) {
  n.expect_inputs(1, 1);
  n.expect_dtype(0, {DType::f32, DType::f64, DType::i32, DType::i64, DType::string});
  const bool zeros = n.flag("zeros", true);
  const ValueId categories = labels(n, "cats_int64s", "cats_strings");
  const Dim count = n.type(categories).dims[0];
  const ValueId x = n.dtype(0) == DType::string ? n.in(0) : n.cast(n.in(0), DType::i64);
  const ValueId places = n.add(schema::Range{}, {n.scalar(DType::i64, 0), n.scalar(DType::i64, double(count.value())), n.scalar(DType::i64, 1)});
  // A place behind the last one is no 1 anywhere.
  ValueIds inputs{x, categories, places};
  if (zeros) inputs.push_back(n.scalar(DType::i64, double(count.value())));
  const ValueId index = n.add(schema::Lookup{}, inputs);
  n.set(0, n.add(schema::OneHot{}, {index, n.scalar(DType::i64, double(count.value())), list(n, DType::f32, std::vector<double>{0, 1})}));
}

ValueId looked_up(OnnxNode& n, ValueId keys, ValueId values, ValueId fallback) {
  return n.add(schema::Lookup{}, {n.in(0), keys, values, fallback});
}
ValueId word(OnnxNode& n, std::string text) { return n.constant(make_strings({}, {std::move(text)})); }

// Strings to integers, or back.
void translate(OnnxNode& n, const schema::Strings& words, const schema::Ints& numbers) {
  const int64_t number = n.integer("default_int64", -1);
  const std::string text = n.text("default_string", "_Unused");
  const ValueId strings = list(n, words), ints = n.ints(numbers);
  n.set(0, n.dtype(0) == DType::string ? looked_up(n, strings, ints, n.constant(make_scalar(DType::i64, number)))
                                       : looked_up(n, ints, strings, word(n, text)));
}
void category_mapper(OnnxNode& n) {
  n.expect_inputs(1, 1);
  translate(n, n.texts("cats_strings"), n.integers("cats_int64s"));
}

void label_encoder(OnnxNode& n) {
  n.expect_inputs(1, 1);
  if (n.has_attribute("classes_strings")) {  // version 1: a string's number is its place
    const schema::Strings words = n.texts("classes_strings");
    schema::Ints places(words.size());
    for (size_t i = 0; i < places.size(); ++i) places[i] = int64_t(i);
    return translate(n, words, places);
  }
  const auto given = [&](const std::string& side) -> ValueId {
    if (const ConstantPtr tensor = n.tensor(side + "_tensor")) return n.reshape(n.constant(tensor), {-1});
    if (n.has_attribute(side + "_strings")) return list(n, n.texts(side + "_strings"));
    if (n.has_attribute(side + "_floats")) return list(n, DType::f32, n.reals(side + "_floats"));
    check(n.has_attribute(side + "_int64s"), "has no attribute of ", side);
    return n.ints(n.integers(side + "_int64s"));
  };
  const ValueId keys = given("keys"), values = given("values");
  const DType to = n.type(values).dtype;
  for (DType d : {n.type(keys).dtype, to}) {
    const bool known = d == DType::f32 || d == DType::f64 || d == DType::i16 || d == DType::i32 || d == DType::i64 || d == DType::string;
    require(known, Code::unsupported, "keys and values are numbers of 32 or 64 bits, i16 or strings, not ", name(d));
  }
  const ConstantPtr tensor = n.tensor("default_tensor");
  const double real = n.real("default_float", -0.0);
  const int64_t number = n.integer("default_int64", -1);
  const std::string text = n.text("default_string", "_Unused");
  n.set(0, looked_up(n, keys, values, tensor                  ? n.constant(tensor)
                                      : to == DType::string   ? word(n, text)
                                      : schema::is_real(to)   ? n.constant(make_scalar(to, real))
                                                              : n.constant(make_scalar(to, number))));
}

// --- Maps ------------------------------------------------------------------------------------------------------------

void zip_map(OnnxNode& n) {
  n.expect_inputs(1, 1);
  const ValueId keys = labels(n, "classlabels_int64s", "classlabels_strings");
  n.finish(schema::ZipMap{}, {rows_of(n, 0, n.dtype(0)), keys});
}

ValueId zero_of(OnnxNode& n, DType dtype, const char* text) { return dtype == DType::string ? word(n, text) : n.scalar(dtype, 0); }

void dict_vectorizer(OnnxNode& n) {
  n.expect_inputs(1, 1);
  const ValueId vocabulary = labels(n, "int64_vocabulary", "string_vocabulary");
  const ValueIds parts = n.add_all(schema::MapParts{n.type(0).key, n.dtype(0)}, {n.in(0)}, 2);
  n.set(0, n.unsqueeze(n.add(schema::Lookup{}, {vocabulary, parts[0], parts[1], zero_of(n, n.dtype(0), "")}), {0}));
}

void cast_map(OnnxNode& n) {
  n.expect_inputs(1, 1);
  const DType to = n.choice<DType>("cast_to", "TO_FLOAT", {{"TO_FLOAT", DType::f32}, {"TO_STRING", DType::string}, {"TO_INT64", DType::i64}});
  const bool sparse = n.choice<bool>("map_form", "DENSE", {{"DENSE", false}, {"SPARSE", true}});
  const int64_t size = n.integer("max_map", 1);
  const ValueIds parts = n.add_all(schema::MapParts{n.type(0).key, n.dtype(0)}, {n.in(0)}, 2);
  ValueId values = parts[1];
  if (sparse) {
    check(size > 0 && size < limits::extent, "attribute max_map is ", size);
    const ValueId places = n.add(schema::Range{}, {n.scalar(DType::i64, 0), n.constant(make_scalar(DType::i64, size)), n.scalar(DType::i64, 1)});
    values = n.add(schema::Lookup{}, {places, parts[0], values, zero_of(n, n.dtype(0), "0")});
  }
  n.set(0, n.unsqueeze(n.cast(values, to), {0}));
}

constexpr Row ml_feature_rows[] = {{"ArrayFeatureExtractor", array_feature_extractor},
                        {"Binarizer", binarizer},
                        {"CastMap", cast_map},
                        {"CategoryMapper", category_mapper},
                        {"DictVectorizer", dict_vectorizer},
                        {"FeatureVectorizer", feature_vectorizer},
                        {"Imputer", imputer},
                        {"LabelEncoder", label_encoder},
                        {"Normalizer", normalizer},
                        {"OneHotEncoder", one_hot_encoder},
                        {"Scaler", scaler},
                        {"ZipMap", zip_map}};
}  // namespace

Group ml_features_group() { return {ml_domain, ml_feature_rows}; }
}  // namespace converter
