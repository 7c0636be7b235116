// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.javacpp;

import dev.gradclip.DType;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.jspecify.annotations.Nullable;

/** LibTorch's element types and this library's. */
final class TorchTypes {
    private TorchTypes() {}

    /** Null for what no gradient clips: integers, complex, quantised, float8. */
    static @Nullable DType of(ScalarType type) {
        return switch (type.intern()) {
            case Double -> DType.FLOAT64;
            case Float -> DType.FLOAT32;
            case Half -> DType.FLOAT16;
            case BFloat16 -> DType.BFLOAT16;
            default -> null;
        };
    }

    /** LibTorch's number of a type. */
    static byte value(DType dtype) {
        return switch (dtype) {
            case FLOAT64 -> ScalarType.Double.value;
            case FLOAT32 -> ScalarType.Float.value;
            case FLOAT16 -> ScalarType.Half.value;
            case BFLOAT16 -> ScalarType.BFloat16.value;
        };
    }
}
