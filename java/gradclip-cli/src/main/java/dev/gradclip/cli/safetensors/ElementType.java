// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.safetensors;

import dev.gradclip.DType;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/** The dtypes of the safetensors format, and what clipping does with each. */
public enum ElementType {
    F64(64, DType.FLOAT64),
    F32(32, DType.FLOAT32),
    F16(16, DType.FLOAT16),
    BF16(16, DType.BFLOAT16),
    BOOL(8, Use.COPIED),
    U8(8, Use.COPIED),
    I8(8, Use.COPIED),
    U16(16, Use.COPIED),
    I16(16, Use.COPIED),
    U32(32, Use.COPIED),
    I32(32, Use.COPIED),
    U64(64, Use.COPIED),
    I64(64, Use.COPIED),
    F8_E4M3(8, Use.REFUSED),
    F8_E5M2(8, Use.REFUSED),
    F8_E4M3FNUZ(8, Use.REFUSED),
    F8_E5M2FNUZ(8, Use.REFUSED),
    F8_E8M0(8, Use.REFUSED),
    F6_E2M3(6, Use.REFUSED),
    F6_E3M2(6, Use.REFUSED),
    F4(4, Use.REFUSED),
    C64(64, Use.REFUSED);

    /** The ways in which clipping treats a tensor of a type. */
    public enum Use {
        CLIPPED,
        /** The type is not floating point, so the tensor is no gradient. */
        COPIED,
        /** No rule is defined for this floating-point type; a copy would leave a gradient unclipped, unnoticed. */
        REFUSED
    }

    private static final Map<String, ElementType> BY_NAME = new HashMap<>();

    static {
        for (ElementType type : values()) BY_NAME.put(type.name(), type);
    }

    private final int bits;
    private final Use use;
    private final @Nullable DType dtype;

    ElementType(int bits, DType dtype) {
        this.bits = bits;
        this.use = Use.CLIPPED;
        this.dtype = dtype;
    }

    ElementType(int bits, Use use) {
        this.bits = bits;
        this.use = use;
        this.dtype = null;
    }

    static @Nullable ElementType byName(String name) {
        return BY_NAME.get(name);
    }

    static String names() {
        return Arrays.stream(values()).map(Enum::name).collect(Collectors.joining(", "));
    }

    int bits() {
        return bits;
    }

    public Use use() {
        return use;
    }

    /** Returns the library's type; null if it has none. */
    public @Nullable DType dtype() {
        return dtype;
    }
}
