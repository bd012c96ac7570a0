#include <algorithm>
#include "engine/api/api.h"

using namespace engine;
using namespace engine::api;

namespace {
template <class F> inlay_status create(inlay_value** value, F&& fill) {
  return guarded([&] {
    require_given(value, "value");
    auto made = std::make_unique<Object>();
    fill(*made);
    *value = handle_of(made.release());
  });
}
bool is_string_tensor(const Object& o) { return o.kind == ValueKind::tensor && o.dtype == DType::string; }
}  // namespace

inlay_status inlay_value_create_tensor(const inlay_tensor* tensor, inlay_value** value) {
  return create(value, [&](Object& object) {
    const ConstView from = view_of(tensor, "tensor");
    require(from.dtype != DType::string, Code::invalid_argument, "strings are made by inlay_value_create_strings");
    const View to = object.set_tensor(from.dtype, from.shape);
    if (from.data) copy_tensor(to, from);
    else std::fill_n(to.data, to.bytes(), std::byte{});
  });
}

inlay_status inlay_value_create_strings(const char* const* strings, const size_t* lengths, const int64_t* shape, int32_t rank,
                                        inlay_value** value) {
  return create(value, [&](Object& object) {
    const inlay_tensor tensor{nullptr, shape, rank, INLAY_STRING};
    const ConstView from = view_of(&tensor, "shape");
    require(strings || from.elements() == 0, Code::invalid_argument, "'strings' is NULL");
    object.set_tensor(DType::string, from.shape);
    for (size_t i = 0; i < object.strings.size(); ++i) {
      require_given(strings[i], "strings[]");
      if (lengths) object.strings[i].assign(strings[i], lengths[i]);
      else object.strings[i] = strings[i];
    }
  });
}

inlay_status inlay_value_create_sequence(inlay_dtype dtype, const inlay_value* const* items, size_t count, inlay_value** value) {
  return create(value, [&](Object& object) {
    require(items || !count, Code::invalid_argument, "'items' is NULL");
    object.set_empty(ValueKind::sequence, dtype_of(dtype));
    for (const inlay_value* item : std::span(items, count)) {
      require_given(item, "items[]");
      require(object_of(item).dtype == object.dtype && object_of(item).kind == object_of(items[0]).kind, Code::invalid_argument,
              "the items of a sequence are of one kind and one dtype");
      object.items.push_back(object_of(item));
    }
  });
}

inlay_status inlay_value_create_optional(inlay_dtype dtype, const inlay_value* item, inlay_value** value) {
  return create(value, [&](Object& object) {
    object.set_empty(ValueKind::optional, dtype_of(dtype));
    if (!item) return;
    require(object_of(item).dtype == object.dtype, Code::invalid_argument, "the item has another dtype than the optional");
    object.items.push_back(object_of(item));
  });
}

inlay_status inlay_value_create_map(const inlay_value* keys, const inlay_value* values, inlay_value** value) {
  return create(value, [&](Object& object) {
    require_given(keys, "keys"), require_given(values, "values");
    for (const inlay_value* v : {keys, values})
      require(object_of(v).kind == ValueKind::tensor && object_of(v).shape.size() == 1 && object_of(v).shape == object_of(keys).shape,
              Code::invalid_argument, "the keys and values of a map are tensors of one dimension and of equal length");
    require(object_of(keys).dtype == DType::i64 || object_of(keys).dtype == DType::string, Code::invalid_argument,
            "the keys of a map are i64 or strings");
    object.set_empty(ValueKind::map, object_of(values).dtype);
    object.items = {object_of(keys), object_of(values)};
  });
}

void inlay_value_release(inlay_value* value) { delete reinterpret_cast<Object*>(value); }

inlay_kind inlay_value_kind(const inlay_value* value) { return value ? inlay_kind(object_of(value).kind) : INLAY_TENSOR; }

inlay_status inlay_value_tensor(const inlay_value* value, inlay_tensor* tensor) {
  return guarded([&] {
    require_given(value, "value"), require_given(tensor, "tensor");
    require(object_of(value).kind == ValueKind::tensor, Code::invalid_argument, "the value is a ", name(object_of(value).kind),
            ", not a tensor");
    *tensor = tensor_of(object_of(value).view());
  });
}

inlay_status inlay_value_string(const inlay_value* value, size_t index, const char** data, size_t* length) {
  return guarded([&] {
    require_given(value, "value"), require_given(data, "data");
    require(is_string_tensor(object_of(value)), Code::invalid_argument, "the value is not a tensor of strings");
    require(index < object_of(value).strings.size(), Code::invalid_argument, "there is no element ", index, "; the tensor has ",
            object_of(value).strings.size());
    const std::string& text = object_of(value).strings[index];
    *data = text.c_str();
    if (length) *length = text.size();
  });
}

size_t inlay_value_count(const inlay_value* value) { return value ? object_of(value).items.size() : 0; }

inlay_status inlay_value_item(const inlay_value* value, size_t index, const inlay_value** item) {
  return guarded([&] {
    require_given(value, "value"), require_given(item, "item");
    require(index < object_of(value).items.size(), Code::invalid_argument, "there is no item ", index, "; the value has ",
            object_of(value).items.size());
    *item = handle_of(&object_of(value).items[index]);
  });
}
