// SPDX-License-Identifier: Apache-2.0
/// Stands for CUDA's header of this name where kernels run on a CPU: the words and functions that this project uses,
/// with CUDA's names, types and values. A word that is not here is not allowed in a kernel.
#pragma once

#ifndef GRADCLIP_EMULATED
#error "the emulator's cuda_runtime.h is for code compiled with -DGRADCLIP_EMULATED"
#endif

#include "emulated/api.h"
#include "emulated/atomics.h"
#include "emulated/errors.h"
#include "emulated/types.h"
#include "emulated/vectors.h"
#include "emulated/words.h"
