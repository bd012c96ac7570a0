#!/usr/bin/env bash
# cli_test.sh INLAY DEMO_FOLDER: every verb on the demo model, and what the command says to bad input.
set -uo pipefail
export LC_ALL=C
inlay=$1 demo=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
checks=0 failures=0
fail() { failures=$((failures + 1)); printf 'FAILED: %s\n' "$*"; sed 's/^/    /' out err; }

# expect STATUS WORD… -- ARGUMENT…: the command ends with STATUS, and its error text, or else its results, hold every
# WORD. A failure leaves nothing on stdout, one line with "error:" on stderr, and no file that was not there.
expect() {
  local want=$1 words=() status=0 stream=out before
  shift
  while [ "$1" != -- ]; do words+=("$1"); shift; done
  shift
  before=$(find . -type f | sort)
  timeout 60 "$inlay" "$@" >out 2>err </dev/null || status=$?
  checks=$((checks + 1))
  [ "$status" -eq "$want" ] || { fail "inlay $* : status $status instead of $want"; return; }
  if [ "$want" -ne 0 ]; then
    stream=err
    [ ! -s out ] || fail "inlay $* : results in spite of the error"
    [ "$(grep -c 'error:' err)" -eq 1 ] || fail "inlay $* : not one error"
    [ "$before" = "$(find . -type f | sort)" ] || fail "inlay $* : it left a file behind"
  fi
  for word in "${words[@]}"; do grep -qF -e "$word" "$stream" || fail "inlay $* : '$word' is not in $stream"; done
}
ok() { expect 0 "$@"; }
touch out err
at() { printf "$2" | dd of="$3" bs=1 seek="$1" conv=notrunc status=none; }  # at OFFSET BYTES FILE: overwrites
cut_to() { head -c "$1" "$2" > "$3"; }

model=$work/demo.inlay picture=$demo/picture.png

# --- Every verb ------------------------------------------------------------------------------------------------------
ok convert run info plan bench profile kernels tune ops -- -h
for verb in convert run info plan bench profile kernels tune ops; do ok Examples --json -- $verb -h; done
ok demo.inlay nodes weights -- convert "$demo/demo.onnx" -o "$model"
ok '"nodes_before"' '"nodes"' '"weight_bytes"' '"file_bytes"' '"time_ms"' -- convert "$demo/demo.onnx" -o \
  fixed.inlay --fix picture=1x64x64x3 --json
ok 'u8[1,64,64,3]' -- info fixed.inlay
ok probabilities 'f32[1,10]' min max mean first -- run "$model" -i "$picture"
cp out summary
for source in "$model" "$demo/demo.onnx"; do
  ok 'f32[1,10]' -- run "$source" -i "picture=$picture" -t 2
  cmp -s out summary || fail "run $source -t 2 gives another summary"
done
ok 'packed 0.' -- convert "$demo/demo.onnx" -o packed.inlay --pack-for scalar
ok 'weights for conv_f32_scalar' verified -- info packed.inlay --verify
ok '"packed"' '"conv_f32_scalar"' -- info packed.inlay --json
for isa in scalar ''; do
  INLAY_MAX_ISA=$isa ok 'f32[1,10]' -- run packed.inlay -i "$picture"
  cp out of_packed
  INLAY_MAX_ISA=$isa ok 'f32[1,10]' -- run "$model" -i "$picture"
  cmp -s out of_packed || fail "weights that are packed in the file give another summary"
done
ok 'candidates measured' -- tune "$model" --cache here.tune --duration 1ms -t 2
ok '"measured": 0' '"gain"' -- tune "$model" --cache here.tune --duration 1ms -t 2 --json
for verb in bench profile; do ok ms -- $verb "$model" --tune-cache here.tune --warmup 1ms --duration 20ms; done
ok 'f32[1,10]' -- run "$model" -i "$picture" --tune-cache here.tune
[ -s err ] && fail "a cache of this machine is warned of"
sed -i '2s/.*/machine another/' here.tune
ok 'f32[1,10]' -- run "$model" -i "$picture" --tune-cache here.tune
grep -q 'here.tune is set aside' err || fail "a cache of another machine is not warned of"
ok -- convert "$demo/demo.onnx" -o photo.inlay --image rgb,resize:64x64
ok 'image rgb,resize:64x64' -- info photo.inlay
ok '"image": "rgb,resize:64x64"' -- info photo.inlay --json
ok 'f32[1,10]' -- run photo.inlay -i "$picture"
cmp -s out summary || fail "the same picture through a spec gives another summary"
ok '"name": "probabilities"' '"dtype": "float32"' '"shape"' '"file": "results/probabilities.npy"' -- run "$model" -i \
  "$picture" -o results --json
[ "$(head -c 6 results/probabilities.npy)" = $'\x93NUMPY' ] || fail "results/probabilities.npy is no .npy file"
ok ' 1.  0.' -- run "$model" -i "$picture" --labels "$demo/labels.txt" --top 3
grep -qE '^ 1\.  [01]\.[0-9]{4}  [a-z]+$' out || fail "the first line of --labels"
[ "$(wc -l < out)" -eq 3 ] || fail "--top 3 printed other than 3 lines"
ok '"top"' '"label"' '"value"' -- run "$model" -i "$picture" --labels "$demo/labels.txt" --json
ok nodes parameters weights input output Conv -- info "$model"
ok nodes -- info "$demo/demo.onnx"
ok MACs FLOP/byte Conv -- info "$model" --layers
ok verified -- info "$model" --verify
ok '"nodes"' '"parameters"' '"weight_bytes"' '"inputs"' '"outputs"' '"ops"' '"layers"' '"macs"' '"bytes"' \
  '"density"' '"verified": true' -- info "$model" --layers --verify --json
ok arena 'lower bound' ratio 'without reuse' steps 'valid          yes' -- plan "$model" --shape picture=2x64x64x3
ok '"arena_bytes"' '"arena_lower_bound_bytes"' '"ratio"' '"valid": true' '"kernel"' -- plan "$model" --shape \
  picture=1x64x64x3 --svg memory.svg --json
grep -q '<title>' memory.svg && grep -q '</svg>' memory.svg || fail "memory.svg"
ok 'p50 ms' -- bench "$model" --strict --warmup 10ms --duration 50ms
ok '"op": "Unary"' -- profile "$model" --disable-pass fuse_epilogues --disable-pass fuse_strips --json --warmup 1ms --duration 20ms
ok 'p50 ms' -- bench "$model" -t 1,2 --warmup 10ms --duration 50ms
[ "$(wc -l < out)" -eq 3 ] || fail "bench -t 1,2 printed other than a head and two rows"
ok '"model"' '"device": "cpu"' '"threads": 1' '"threads": 2' '"runs"' '"p50_ms"' '"p90_ms"' '"min_ms"' '"load_ms"' \
  '"compile_ms"' '"first_run_ms"' '"peak_rss_mb"' \
  '"arena_bytes"' '"arena_lower_bound_bytes"' -- bench "$model" -t 1,2 --warmup 10ms --duration 50ms --json --shape \
  picture=1x64x64x3
[ "$(head -c 1 out)" = '[' ] || fail "bench --json is not an array"
ok GFLOP/s %peak %roof 'in all' 'outside the steps' Softmax -- profile "$model" -t 1 --warmup 1ms --duration 20ms
ok steps kernel reference -- profile "$model" --by kernel --sort order --strict --warmup 1ms --duration 20ms
ok Softmax -- profile "$demo/demo.onnx" --by op --shape picture=2x64x64x3 --warmup 1ms --duration 20ms
ok 'not depthwise: ' -- profile "$model" --dispatch --warmup 1ms --duration 20ms
ok '"peak_gflops_per_s"' '"by_kernel"' '"share_of_roofline"' -- profile "$model" --by kernel --trace trace.json \
  --warmup 1ms --duration 20ms --json
grep -q '"traceEvents"' trace.json || fail "trace.json"
ok Conv ZipMap 'no: this op trains a model' -- ops
ok '"op": "Gather"' '"Tind"' '"i64"' '"cpu"' -- ops Gather --json
ok '## Not supported' '| Conv | 1-28 |' '| softmax | ' -- ops --markdown
expect 2 'no op' -- ops conv
expect 2 'one of them' -- ops --json --markdown
ok family gemm_f32_scalar conv_f32_scalar yes -- kernels
INLAY_MAX_ISA=scalar ok 'no: needs ' -- kernels pointwise
ok %peak gemm_f32_scalar selected -- kernels gemm --bench m5,n6,k7 --duration 1ms
ok 'no: not depthwise' -- kernels conv --bench 1x8x9x10,oc4,k3x3,s1,p1 --duration 1ms -t 2

# --- Mistakes in the command line ------------------------------------------------------------------------------------
expect 2 -h --
expect 2 frobnicate -- frobnicate
expect 2 model -- run
expect 2 --output -- convert "$demo/demo.onnx"
expect 2 --frobnicate -- run "$model" --frobnicate
for verb in run bench profile; do
  expect 2 -t 0 -- $verb "$model" -t 0
  expect 2 -t -1 -- $verb "$model" -t -1
  expect 2 -t many -- $verb "$model" -t many
done
expect 2 --device tpu -- run "$model" --device tpu
expect 2 --warmup soon -- bench "$model" --warmup soon
expect 2 --duration -- bench "$model" --duration -3s
expect 2 --warmup soon -- profile "$model" --warmup soon
expect 2 --by colour -- profile "$model" --by colour
expect 2 --pack-for "avx9" -- convert "$demo/demo.onnx" -o bad.inlay --pack-for avx9
expect 1 missing.tune -- run "$model" -i "$picture" --tune-cache missing.tune
expect 1 "not a tune cache" -- run "$model" -i "$picture" --tune-cache "$demo/labels.txt"
expect 2 --cache -- tune "$model"
expect 2 --dispatch --by -- profile "$model" --dispatch --by op
expect 2 nosuch gemm -- kernels nosuch
expect 2 --bench empty -- kernels gemm --bench ''
expect 2 --bench 'one problem' -- kernels gemm --bench m1,n1,k1 --bench m1,n1,k2
expect 2 --bench FAMILY -- kernels --bench m1,n1,k1
expect 2 --bench "'k'" -- kernels gemm --bench m1,n1
expect 2 --bench "'q4'" -- kernels gemm --bench m1,n1,k1,q4
expect 2 --duration soon -- kernels gemm --bench m1,n1,k1 --duration soon
expect 2 --sort size -- profile "$model" --sort size
expect 2 --shape 1xx3 -- profile "$model" --shape picture=1xx3
expect 2 --shape 1xx3 -- plan "$model" --shape picture=1xx3
expect 2 --shape -5 -- plan "$model" --shape picture=-5
expect 2 --fix 'say which input' -- convert "$demo/demo.onnx" -o x.inlay --fix 1x3
expect 2 -i twice -- run "$model" -i "$picture" -i "$picture"
cp "$demo/demo.onnx" own.onnx
expect 2 'the model itself' -- convert own.onnx -o own.onnx
status=0
INLAY_MAX_ISA=avx1024 "$inlay" info "$model" >out 2>err || status=$?
{ [ "$status" -ne 0 ] && grep -q avx1024 err; } || fail "INLAY_MAX_ISA=avx1024 is accepted"

# --- Inputs ----------------------------------------------------------------------------------------------------------
npy() {  # npy DESCR SHAPE BYTES > file: zeros
  local header="{'descr': '$1', 'fortran_order': False, 'shape': $2, }"
  printf "\x93NUMPY\x01\\x00\\x$(printf %02x ${#header})\\x00%s" "$header"
  head -c "$3" /dev/zero
}
npy '<f4' '(1, 64, 64, 3)' 49152 > float.npy
npy '|u1' '(1, 64, 65, 3)' 12480 > wide.npy
npy '|u1' '(64, 64, 3)' 12288 > flat.npy
npy '|u1' '(1, 64, 64, 3)' 100 > short.npy
npy '<c8' '(1,)' 8 > complex.npy
npy '|u1' '(1, 64, 64, 3)' 12288 > zeros.npy
cut_to 50 zeros.npy cut.npy
ok 'f32[1,10]' -- run "$model" -i zeros.npy
ok 'f32[1,10]' -- run photo.inlay -i "picture=zeros.npy"
expect 1 picture "'picture'" u8 -- run "$model"
expect 1 "'image'" "'picture'" -- run "$model" -i "image=$picture"
expect 1 "'picture'" float.npy 'f32[1,64,64,3]' u8 -- run "$model" -i float.npy
expect 1 "'picture'" wide.npy 'u8[1,64,65,3]' -- run "$model" -i wide.npy
expect 1 "'picture'" flat.npy 'u8[64,64,3]' -- run "$model" -i flat.npy
expect 1 short.npy '100 bytes' -- run "$model" -i short.npy
expect 1 complex.npy c8 -- run "$model" -i complex.npy
expect 1 cut.npy .npy -- run "$model" -i cut.npy
expect 1 missing.npy -- run "$model" -i missing.npy
expect 1 labels.txt .npy JPEG -- run "$model" -i "$demo/labels.txt"
cut_to 200 "$demo/picture.png" cut.png
expect 1 cut.png picture -- run "$model" -i cut.png
expect 1 no-labels -- run "$model" -i "$picture" --labels no-labels
printf 'one\ntwo\n' > two.txt
expect 1 '2' labels -- run "$model" -i "$picture" --labels two.txt
export INLAY_CUDA_LIBRARY=/nowhere/libinlay_cuda.so  # as on a machine without the backend
expect 1 CUDA /nowhere/libinlay_cuda.so --device-fallback -- run "$model" -i "$picture" --device cuda
for verb in bench profile plan; do expect 1 CUDA -- $verb "$model" --device cuda; done
ok -- run "$model" -i "$picture" --device cuda --device-fallback
grep -q 'running on the CPU' err || fail "no note that the CPU stands in"
unset INLAY_CUDA_LIBRARY
if [ -f "$(dirname "$inlay")/libinlay_cuda.so" ]; then  # the backend, where no GPU is visible
  export CUDA_VISIBLE_DEVICES=-1
  expect 1 'there is no CUDA device: no NVIDIA ' --device-fallback -- run "$model" -i "$picture" --device cuda
  ok -- run "$model" -i "$picture" --device cuda --device-fallback
  grep -q 'running on the CPU: there is no CUDA device: no NVIDIA ' err || fail "no note of what is missing"
  unset CUDA_VISIBLE_DEVICES
fi
expect 1 "'image'" "'picture'" -- plan "$model" --shape image=1x64x64x3
expect 1 "'picture'" '[1,65,64,3]' -- plan "$model" --shape picture=1x65x64x3
expect 1 "'image'" -- convert "$demo/demo.onnx" -o x.inlay --fix image=1x64x64x3
expect 1 "picture" -- convert "$demo/demo.onnx" -o x.inlay --fix picture=1x65x64x3
expect 1 --state "'a'" -- convert "$demo/demo.onnx" -o x.inlay --state a=probabilities
expect 1 --state picture f32 -- convert "$demo/demo.onnx" -o x.inlay --state picture=probabilities
expect 1 --state 'no input' -- convert "$demo/demo.onnx" -o x.inlay --state 'a*=b*'
expect 1 --state f32 -- convert "$demo/demo.onnx" -o x.inlay --state 'picture*=probabilities*'
expect 2 --state 'one *' -- convert "$demo/demo.onnx" -o x.inlay --state 'pic*=probabilities'
expect 1 --bound "'past'" -- convert "$demo/demo.onnx" -o x.inlay --bound past=64
expect 2 u4 u8 bf16 -- convert "$demo/demo.onnx" -o x.inlay --weights i8
ok -- convert "$demo/demo.onnx" -o x.inlay --weights u8
grep -q 'error .* % of the weights' out || fail "the error of narrow weights is not stated"
ok -- convert "$demo/demo.onnx" -o half.inlay --precision fp16
ok 'precision   fp16 on a device' -- info half.inlay
ok '"precision": "fp16"' -- info half.inlay --json
ok '"precision": "fp32"' -- bench half.inlay --duration 10ms --warmup 0 --json
expect 2 --precision fp8 -- convert "$demo/demo.onnx" -o x.inlay --precision fp8

# --- Pictures --------------------------------------------------------------------------------------------------------
bytes() { printf "$(printf '%s' "$*" | sed 's/ *\([0-9a-f][0-9a-f]\)/\\x\1/g')"; }
base64 -d > photo.jpg <<'END'
/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDACgcHiMeGSgjISMtKygwPGRBPDc3PHtYXUlkkYCZlo+AjIqgtObDoKrarYqMyP/L2u71////m8H////6/+b9
//j/2wBDASstLTw1PHZBQXb4pYyl+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj/wAARCAAQABgDASIAAhEB
AxEB/8QAFgABAQEAAAAAAAAAAAAAAAAABAAD/8QAFxAAAwEAAAAAAAAAAAAAAAAAAAIDYf/EABYBAQEBAAAAAAAAAAAAAAAAAAMCBP/EABgRAAMBAQAA
AAAAAAAAAAAAAAABAwIh/9oADAMBAAIRAxEAPwAKyNFkKWWGiywt0DnUMssIcsiCdDbmvD//2Q==
END
# Two rows of two pixels, the lower one first, as B, G, R: the picture's R is 10 20 / 30 40, G 50 more, B 80 more.
bytes 42 4d 46 00 00 00 00 00 00 00 36 00 00 00 28 00 00 00 02 00 00 00 02 00 00 00 01 00 18 00 00 00 00 00 10 00 00 00 \
  13 0b 00 00 13 0b 00 00 00 00 00 00 00 00 00 00 6e 50 1e 78 5a 28 00 00 5a 3c 0a 64 46 14 00 00 > four.bmp
# y = Relu(x) of f32[1,3,2,2], as ONNX.
bytes 08 08 3a 48 0a 0c 0a 01 78 12 01 79 22 04 52 65 6c 75 > relu.onnx
for port in '5a 78' '62 79'; do
  bytes "${port% *}" 1b 0a 01 "${port#* }" 12 16 0a 14 08 01 12 10 0a 02 08 01 0a 02 08 03 0a 02 08 02 0a 02 08 02
done >> relu.onnx
# At top level again: the opset.
bytes 42 02 10 0d >> relu.onnx
ok 'first 10 20 30 40 60 70' -- run relu.onnx -i four.bmp --image scale:1
ok 'first 90 100 110 120 60 70' -- run relu.onnx -i four.bmp --image bgr,scale:1
ok -- convert relu.onnx -o levels.inlay --image x=rgb,scale:1,mean:5/0/0
ok 'first 5 15 25 35 60 70' -- run levels.inlay -i x=four.bmp
ok 'first 17.5 22.5 27.5 32.5 67.5' -- run levels.inlay -i four.bmp --image x=rgb,resize:4,crop:2,scale:1
ok '"shape"' '"min"' -- run levels.inlay -i photo.jpg --image rgb,resize:2x2 --json
ok 'f32[1,10]' -- run photo.inlay -i photo.jpg
ok 1. -- run photo.inlay -i photo.jpg --labels "$demo/labels.txt" --top 2
ok 'p50 ms' -- bench photo.inlay -i photo.jpg --warmup 1ms --duration 5ms
expect 1 photo.jpg 24x16 'u8[N,64,64,3]' -- run "$model" -i photo.jpg
expect 1 four.bmp "'x'" 'f32[1,3,2,2]' --image -- run relu.onnx -i four.bmp
expect 1 photo.jpg 24x16 resize -- run levels.inlay -i photo.jpg
expect 1 missing.jpg -- run photo.inlay -i missing.jpg
for n in 3 100 200; do
  cut_to $n photo.jpg cut.jpg
  expect 1 "'picture'" cut.jpg 'cannot be decoded' -- run photo.inlay -i cut.jpg
done
for spec in rgb,resise:64x64 resize:0x64 std:0 '' mean:1/2; do
  expect 2 --image "image spec '$spec'" -- run "$model" -i photo.jpg --image "picture=$spec"
  expect 2 --image "image spec '$spec'" -- convert "$demo/demo.onnx" -o x.inlay --image "$spec"
done
expect 2 --image twice -- run "$model" -i photo.jpg --image rgb --image picture=grey
expect 1 "'image'" "'picture'" -- run "$model" -i photo.jpg --image image=rgb
expect 1 --image "'picture'" 65x64 -- convert "$demo/demo.onnx" -o x.inlay --image resize:65x64
expect 1 --image "'picture'" grey -- run "$model" -i photo.jpg --image grey,resize:64x64
expect 1 --image scale -- convert "$demo/demo.onnx" -o x.inlay --image resize:64x64,scale:1

# --- Models ----------------------------------------------------------------------------------------------------------
mkdir folder
mkfifo pipe
: > empty.onnx
printf 'this is not a model' > text.onnx
head -c 5000 /dev/urandom > random.onnx
printf '\x89INLAY\r\n' > magic.inlay
cp "$model" newer.inlay && at 8 '\x02' newer.inlay
cp "$model" table.inlay && at 40 '\xff' table.inlay
cp "$model" graph.inlay && at 300 '\xff\xff\xff\xff' graph.inlay
cp "$model" weights.inlay && at $(($(stat -c %s "$model") - 10)) '\xff\xff\xff' weights.inlay
for verb in run info plan bench profile; do
  expect 1 nowhere.onnx -- $verb nowhere.onnx
  expect 1 folder -- $verb folder
  expect 1 pipe -- $verb pipe
  expect 1 empty.onnx empty -- $verb empty.onnx
  expect 1 text.onnx -- $verb text.onnx
  expect 1 random.onnx -- $verb random.onnx
  expect 1 magic.inlay truncated -- $verb magic.inlay
  expect 1 newer.inlay 'version 2' -- $verb newer.inlay
  expect 1 table.inlay -- $verb table.inlay
  expect 1 graph.inlay -- $verb graph.inlay
done
expect 1 weights.inlay checksum -- info weights.inlay --verify
expect 1 demo.onnx .inlay -- info "$demo/demo.onnx" --verify
for n in 1 10 100 1000 100000 200000; do
  cut_to $n "$demo/demo.onnx" "cut$n.onnx"
  expect 1 "cut$n.onnx" -- convert "cut$n.onnx" -o x.inlay
  cut_to $n "$model" "cut$n.inlay"
  expect 1 "cut$n.inlay" -- info "cut$n.inlay"
done
expect 1 demo.inlay already -- convert "$model" -o x.inlay

# ONNX models written by hand: field 7 of a model is its graph, field 1 of that a node {input 1, output 2, op 4}.
# field TAG FILE: a message of under 128 bytes
field() { bytes "$1"; printf "\\x$(printf %02x $(stat -c %s "$2"))"; cat "$2"; }
node() { printf "\x0a\x01$1\x12\x01$2\x22\x04$3" > node; field 0a node; }
port() { printf "\x0a\x01$2" > port; bytes 12 06 0a 04 08 "$3" 12 00 >> port; field "$1" port; }  # a scalar of a dtype
onnx() { { field 3a graph; bytes 42 02 10 0d; bytes 08 08; } > "$1"; }
{ node x y Relu; port 5a x 01; port 62 y 01; } > graph && onnx relu.onnx
ok 'f32[]' -- info relu.onnx
{ node z y Relu; node y z Relu; port 5a x 01; port 62 y 01; } > graph && onnx cyclic.onnx
expect 1 cyclic.onnx -- convert cyclic.onnx -o x.inlay
{ node x y Relu; port 5a x 08; port 62 y 08; } > graph && onnx typed.onnx
expect 1 typed.onnx Relu string -- convert typed.onnx -o x.inlay
{ node x y Blob; node y z Blub; port 5a x 01; port 62 z 01; } > graph && onnx unknown.onnx
expect 1 unknown.onnx Blob Blub --allow-custom -- convert unknown.onnx -o x.inlay
ok custom.inlay '2 nodes' -- convert unknown.onnx -o custom.inlay --allow-custom
ok Custom 'f32[...]' -- info custom.inlay
printf '\x93NUMPY\x01\x00\x76\x00%-117s\n\x00\x00\x80\x3f' "{'descr': '<f4', 'fortran_order': False, 'shape': ()}" > one.npy
ok 'mean 1' -- run relu.onnx -i one.npy
expect 1 "custom op 'ai.onnx::Blob' of node y (Blob) is not registered" 'z (Blub)' -- run custom.inlay -i one.npy
expect 1 "'ai.onnx::Blub'" 'not registered' -- plan custom.inlay
{ node w y Relu; port 5a x 01; port 62 y 01; } > graph && onnx dangling.onnx
expect 1 dangling.onnx "'w'" -- convert dangling.onnx -o x.inlay
# An initializer (field 5) of 2^40 x 2^40 floats without data: dims 1, data type 2, name 8.
{ bytes 08 80 80 80 80 80 20 08 80 80 80 80 80 20 10 01 42 01; printf w; } > tensor
{ field 2a tensor; node w y Relu; port 62 y 01; } > graph && onnx huge.onnx
expect 1 huge.onnx -- convert huge.onnx -o x.inlay

# --- Outputs ---------------------------------------------------------------------------------------------------------
expect 1 nofolder -- convert "$demo/demo.onnx" -o nofolder/x.inlay
expect 1 folder -- convert "$demo/demo.onnx" -o folder
expect 1 text.onnx -- run "$model" -i "$picture" -o text.onnx
expect 1 nofolder -- plan "$model" --svg nofolder/x.svg
expect 1 nofolder -- profile "$model" --trace nofolder/t.json
if [ "$(id -u)" -ne 0 ]; then  # whom permissions do not stop
  mkdir locked && chmod 555 locked
  expect 1 locked -- convert "$demo/demo.onnx" -o locked/x.inlay
  expect 1 locked -- run "$model" -i "$picture" -o locked
  chmod 000 two.txt
  expect 1 two.txt -- run "$model" -i "$picture" --labels two.txt
fi
if [ -e /dev/full ]; then
  status=0
  "$inlay" info "$model" >/dev/full 2>err || status=$?
  [ "$status" -eq 1 ] || fail "a full disk under stdout goes unnoticed"
fi

echo "$checks runs, $failures failures"
[ "$failures" -eq 0 ]
