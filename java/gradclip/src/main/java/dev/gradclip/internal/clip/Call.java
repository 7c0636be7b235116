// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.clip;

import dev.gradclip.DeviceNorm;
import dev.gradclip.Update;
import dev.gradclip.internal.cuda.StreamHandle;
import dev.gradclip.internal.ranks.Verdict;
import dev.gradclip.internal.rule.ResolvedRule;
import org.jspecify.annotations.Nullable;

/**
 * The arguments of one clip and, once a backend has done it, its {@link #figures}. A clipper reuses one object for all
 * its calls, so that a clip allocates nothing.
 */
public final class Call {
    /** The phases that a call goes through. */
    public enum Kind {
        /** Measures, decides and applies. */
        CLIP,
        /** Decides and applies; every gradient has been measured by {@link Phases#measure}. */
        APPLY,
        /** Measures and decides, and writes to no gradient. */
        DECIDE,
        /** Decides from a norm that the caller gives, and applies. */
        NORM_GIVEN,
        /** Decides from a norm in device memory, and applies. */
        NORM_ON_DEVICE,
        /** Measures, decides, and updates weights with the clipped gradients. */
        STEP,
        /** Applies what all ranks decided alike. */
        DECIDED,
        /** Updates weights with gradients that are clipped as all ranks decided alike. */
        STEP_DECIDED
    }

    private Kind kind = Kind.CLIP;
    private @Nullable ResolvedRule rule;
    private double globalNorm;
    private @Nullable DeviceNorm deviceNorm;
    private @Nullable StreamHandle stream;
    private @Nullable Update update;
    private @Nullable Verdict verdict;
    private final Figures figures = new Figures();

    /**
     * Sets the arguments of the next clip; returns this object.
     *
     * @param givenNorm the norm of {@link Kind#NORM_GIVEN}
     * @param normOnDevice the norm of {@link Kind#NORM_ON_DEVICE}
     * @param onStream the stream to enqueue on; null for a call that is complete when it returns
     */
    public Call of(
            Kind ofKind,
            ResolvedRule byRule,
            double givenNorm,
            @Nullable DeviceNorm normOnDevice,
            @Nullable StreamHandle onStream) {
        kind = ofKind;
        rule = byRule;
        globalNorm = givenNorm;
        deviceNorm = normOnDevice;
        stream = onStream;
        return this;
    }

    /** Fills the call anew as {@link Kind#STEP}. */
    public Call step(ResolvedRule byRule, Update byUpdate, @Nullable StreamHandle onStream) {
        update = byUpdate;
        return of(Kind.STEP, byRule, Double.NaN, null, onStream);
    }

    /** Fills the call anew as {@link Kind#DECIDED}. */
    public Call decided(ResolvedRule byRule, Verdict byRanks) {
        verdict = byRanks;
        return of(Kind.DECIDED, byRule, byRanks.globalNorm, null, null);
    }

    /** Fills the call anew as {@link Kind#STEP_DECIDED}. */
    public Call decidedStep(ResolvedRule byRule, Verdict byRanks, Update byUpdate) {
        verdict = byRanks;
        update = byUpdate;
        return of(Kind.STEP_DECIDED, byRule, byRanks.globalNorm, null, null);
    }

    /** What {@link Kind#DECIDED} applies, and {@link Kind#STEP_DECIDED} updates with. */
    Verdict verdict() {
        Verdict current = verdict;
        if (current == null) throw new IllegalStateException("the call was given nothing that ranks decided");
        return current;
    }

    /** The update of {@link Kind#STEP} and {@link Kind#STEP_DECIDED}. */
    Update update() {
        Update current = update;
        if (current == null) throw new IllegalStateException("the call was given no update");
        return current;
    }

    Kind kind() {
        return kind;
    }

    /** Returns true if ranks decided. */
    boolean isDecided() {
        return kind == Kind.DECIDED || kind == Kind.STEP_DECIDED;
    }

    ResolvedRule rule() {
        ResolvedRule current = rule;
        if (current == null) throw new IllegalStateException("the call was given no rule");
        return current;
    }

    double globalNorm() {
        return globalNorm;
    }

    DeviceNorm deviceNorm() {
        DeviceNorm current = deviceNorm;
        if (current == null) throw new IllegalStateException("the call was given no norm on a device");
        return current;
    }

    @Nullable
    StreamHandle stream() {
        return stream;
    }

    /** Returns true if the call measures norms, which the clipper's listener gets for each group. */
    boolean measuresNorms() {
        return kind == Kind.DECIDE
                || ((kind == Kind.CLIP || kind == Kind.APPLY || kind == Kind.STEP) && !rule().clamps());
    }

    /** The figures, valid after a backend has done this call and before the next call. */
    public Figures figures() {
        return figures;
    }
}
