// Changes a protobuf message at random and keeps it a message: what bytes mutated blindly seldom do.
#pragma once
#include <google/protobuf/message.h>
#include <algorithm>
#include <random>
#include <string>
#include <vector>

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

namespace fuzz {
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using Random = std::minstd_rand;

// A message and all within it.
inline void collect(Message& message, std::vector<Message*>& all, std::vector<std::string>* texts = nullptr) {
  all.push_back(&message);
  const auto* r = message.GetReflection();
  std::vector<const FieldDescriptor*> fields;
  r->ListFields(message, &fields);
  for (const FieldDescriptor* f : fields) {
    const int count = f->is_repeated() ? std::min(r->FieldSize(message, f), 4096) : 1;
    for (int i = 0; i < count; ++i) {
      if (f->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE)
        collect(f->is_repeated() ? *r->MutableRepeatedMessage(&message, f, i) : *r->MutableMessage(&message, f), all, texts);
      else if (f->cpp_type() == FieldDescriptor::CPPTYPE_STRING && texts)
        texts->push_back(f->is_repeated() ? r->GetRepeatedString(message, f, i) : r->GetString(message, f));
    }
  }
}

inline int64_t number(int64_t old, Random& random) {
  static constexpr int64_t telling[] = {0, 1, -1, 2, 3, 4, 7, 8, 16, 32, 33, 64, 255, 256, 1000, 65535, 65536, 1 << 20, (1 << 24) + 1, INT32_MAX, INT32_MIN,
                                        int64_t{1} << 32, int64_t{1} << 40, (int64_t{1} << 40) + 1, INT64_MAX, INT64_MIN};
  switch (random() % 4) {
    case 0: return int64_t(uint64_t(old) + random() % 7 - 3);
    case 1: return int64_t(uint64_t(old) ^ (uint64_t{1} << random() % 64));
    case 2: return int64_t(random() % 12);
    default: return telling[random() % std::size(telling)];
  }
}
inline double real(double old, Random& random) {
  static constexpr double telling[] = {0, -0.0, 1, -1, 0.5, 2, 1e-30, 1e30, 3e38, 1e300, INFINITY, -INFINITY, NAN, 1e-320};
  return random() % 3 ? telling[random() % std::size(telling)] : old * (random() % 5 - 2.0) + 0.25;
}
inline std::string text(std::string old, const std::vector<std::string>& texts, Random& random) {
  if (random() % 2 && !texts.empty()) return texts[random() % texts.size()];
  const size_t size = old.size(), room = size + 16;
  old.resize(room);
  old.resize(LLVMFuzzerMutate(reinterpret_cast<uint8_t*>(old.data()), size, room));
  return old;
}

// Sets, adds or removes one field, or takes a part of `other`.
inline void mutate_once(Message& root, Message* other, Random& random) {
  std::vector<Message*> all, theirs;
  std::vector<std::string> texts;
  collect(root, all, &texts);
  Message& m = *all[random() % all.size()];
  const auto* r = m.GetReflection();
  if (other) {
    collect(*other, theirs, &texts);
    const auto same = [&](Message* from) { return from->GetDescriptor() != m.GetDescriptor(); };
    std::erase_if(theirs, same);
    if (&m != &root && !theirs.empty()) return m.CopyFrom(*theirs[random() % theirs.size()]);
  }
  std::vector<const FieldDescriptor*> fields;
  if (random() % 4) r->ListFields(m, &fields);
  if (fields.empty())
    for (int i = 0; i < m.GetDescriptor()->field_count(); ++i) fields.push_back(m.GetDescriptor()->field(i));
  if (fields.empty()) return;
  const FieldDescriptor* f = fields[random() % fields.size()];
  const bool repeated = f->is_repeated();
  const int count = repeated ? r->FieldSize(m, f) : 0;
  if (repeated && count > 0 && random() % 3 == 0) {
    if (random() % 2 && count > 1) return r->SwapElements(&m, f, int(random() % count), int(random() % count));
    if (random() % 2) r->SwapElements(&m, f, int(random() % count), count - 1);
    return r->RemoveLast(&m, f);
  }
  if (!repeated && random() % 8 == 0) return r->ClearField(&m, f);
  const bool add = repeated && (count == 0 || random() % 3 == 0);
  const int at = count ? int(random() % count) : 0;
#define CASE(TYPE, Name, change)                                                     \
  case FieldDescriptor::CPPTYPE_##TYPE: {                                            \
    if (add) return r->Add##Name(&m, f, change(count ? r->GetRepeated##Name(m, f, at) : 0)); \
    if (repeated) return r->SetRepeated##Name(&m, f, at, change(r->GetRepeated##Name(m, f, at))); \
    return r->Set##Name(&m, f, change(r->Get##Name(m, f)));                          \
  }
  const auto change = [&](auto old) { return decltype(old)(number(int64_t(old), random)); };
  const auto change_real = [&](auto old) { return decltype(old)(std::is_same_v<decltype(old), float> ? std::clamp(real(double(old), random), -3e38, 3e38) : real(double(old), random)); };
  switch (f->cpp_type()) {
    CASE(INT32, Int32, change)
    CASE(INT64, Int64, change)
    CASE(UINT32, UInt32, change)
    CASE(UINT64, UInt64, change)
    CASE(FLOAT, Float, change_real)
    CASE(DOUBLE, Double, change_real)
    case FieldDescriptor::CPPTYPE_BOOL:
      if (add) return r->AddBool(&m, f, random() % 2);
      if (repeated) return r->SetRepeatedBool(&m, f, at, random() % 2);
      return r->SetBool(&m, f, random() % 2);
    case FieldDescriptor::CPPTYPE_ENUM: {
      const int value = f->enum_type()->value(int(random() % f->enum_type()->value_count()))->number();
      if (add) return r->AddEnumValue(&m, f, value);
      if (repeated) return r->SetRepeatedEnumValue(&m, f, at, value);
      return r->SetEnumValue(&m, f, value);
    }
    case FieldDescriptor::CPPTYPE_STRING: {
      if (add) return r->AddString(&m, f, text(count ? r->GetRepeatedString(m, f, at) : "", texts, random));
      if (repeated) return r->SetRepeatedString(&m, f, at, text(r->GetRepeatedString(m, f, at), texts, random));
      return r->SetString(&m, f, text(r->GetString(m, f), texts, random));
    }
    case FieldDescriptor::CPPTYPE_MESSAGE: {
      // Copied first: it may hold the place it goes to, or be another choice of the same oneof.
      std::erase_if(all, [&](Message* from) { return from->GetDescriptor() != f->message_type(); });
      const std::string copy = all.empty() ? "" : all[random() % all.size()]->SerializePartialAsString();
      Message* to = add ? r->AddMessage(&m, f) : repeated ? r->MutableRepeatedMessage(&m, f, at) : r->MutableMessage(&m, f);
      to->ParsePartialFromString(copy);
    }
  }
#undef CASE
}

inline void mutate(Message& root, Message* other, unsigned seed) {
  Random random(seed);
  for (unsigned n = 1 + random() % 3; n-- > 0;) mutate_once(root, random() % 2 ? other : nullptr, random);
}
}  // namespace fuzz
