# 32-bit ARM Linux with NEON and fused multiply-add (VFPv4), with Debian's cross compiler.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR armv7)
set(CMAKE_C_COMPILER arm-linux-gnueabihf-gcc)
set(CMAKE_CXX_COMPILER arm-linux-gnueabihf-g++)
set(CMAKE_C_FLAGS_INIT -mfpu=neon-vfpv4)
set(CMAKE_CXX_FLAGS_INIT "-mfpu=neon-vfpv4 -mfp16-format=ieee -Wno-psabi")  # Highway needs a half; nothing older than GCC 7 is linked with
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-arm)
