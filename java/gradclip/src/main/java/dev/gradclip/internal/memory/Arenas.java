// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.memory;

import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.nio.Buffer;
import java.nio.ByteBuffer;
import org.jspecify.annotations.Nullable;

/**
 * Refuses buffers over memory of a {@code java.lang.foreign.Arena} that can be closed. Native code works at addresses
 * that were looked up at binding, and no public API keeps an arena from being closed, which frees the memory, while
 * native code uses it. JDKs of 22 or later have arenas.
 */
public final class Arenas {
    /** Maps a buffer to the scope of its memory; null if the JDK has no arenas. */
    private static final @Nullable MethodHandle SCOPE;

    /** The classes of the scopes of arenas that can be closed, in this JDK. */
    private static final @Nullable Class<?> CONFINED;

    private static final @Nullable Class<?> SHARED;

    static {
        MethodHandle scope = null;
        Class<?> confined = null;
        Class<?> shared = null;
        try {
            scope = scope();
            confined = scopeOf("ofConfined");
            shared = scopeOf("ofShared");
            Class<?> never = scopeOf("ofAuto");
            Class<?> plain = of(scope, ByteBuffer.allocateDirect(1));
            if (never == confined || never == shared || plain == confined || plain == shared) scope = null;
        } catch (ReflectiveOperationException | RuntimeException | LinkageError e) {
            scope = null;
        }
        SCOPE = scope;
        CONFINED = confined;
        SHARED = shared;
    }

    private Arenas() {}

    private static MethodHandle scope() throws ReflectiveOperationException {
        MethodHandles.Lookup lookup = MethodHandles.publicLookup();
        Class<?> segment = Class.forName("java.lang.foreign.MemorySegment");
        Class<?> scope = Class.forName("java.lang.foreign.MemorySegment$Scope");
        MethodHandle ofBuffer = lookup.findStatic(segment, "ofBuffer", MethodType.methodType(segment, Buffer.class));
        MethodHandle scopeOf = lookup.findVirtual(segment, "scope", MethodType.methodType(scope));
        return MethodHandles.filterReturnValue(ofBuffer, scopeOf)
                .asType(MethodType.methodType(Object.class, Buffer.class));
    }

    private static Class<?> scopeOf(String factory) throws ReflectiveOperationException {
        Class<?> arena = Class.forName("java.lang.foreign.Arena");
        Object made = arena.getMethod(factory).invoke(null);
        return arena.getMethod("scope").invoke(made).getClass();
    }

    private static Class<?> of(MethodHandle scope, Buffer buffer) {
        try {
            return ((Object) scope.invokeExact(buffer)).getClass();
        } catch (RuntimeException | Error e) {
            throw e;
        } catch (Throwable e) {
            throw new IllegalStateException(e);
        }
    }

    /**
     * Throws if the piece's memory may be freed although the piece is reachable.
     *
     * @param name the piece's name in the message
     */
    public static void requireLasting(Piece piece, String name) {
        if (piece.array() != null || piece.view() == null || !canBeClosed(piece.view())) return;
        throw new IllegalArgumentException(name
                + " is in memory of an Arena that can be closed, which would free it while it is clipped; allocate it "
                + "from Arena.ofAuto() or Arena.global(), or wrap its address, HostBuffer.wrap(segment.address(), "
                + "length, dtype, arena), and close the arena only after the clipper");
    }

    private static boolean canBeClosed(Buffer buffer) {
        MethodHandle scope = SCOPE;
        if (scope == null) return false;
        Class<?> found = of(scope, buffer);
        return found == CONFINED || found == SHARED;
    }
}
