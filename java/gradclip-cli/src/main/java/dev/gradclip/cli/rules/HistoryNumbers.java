// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.rules;

import dev.gradclip.History;
import java.lang.reflect.Constructor;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.RecordComponent;
import java.util.Arrays;

/** The numbers of a rule's history by their names: the components of its record. */
final class HistoryNumbers {
    private HistoryNumbers() {}

    /** Returns a number by the name of its component. */
    static double get(History history, String name) {
        try {
            return ((Number) component(history, name).getAccessor().invoke(history)).doubleValue();
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException(e);
        }
    }

    /**
     * Returns the history with another number.
     *
     * @throws IllegalArgumentException if it may not be that
     */
    static History with(History history, String name, double value) {
        RecordComponent[] all = history.getClass().getRecordComponents();
        Object[] values = new Object[all.length];
        for (int i = 0; i < all.length; i++) {
            double number = all[i].getName().equals(name) ? value : get(history, all[i].getName());
            if (all[i].getType() == double.class) values[i] = number;
            else if (number == (int) number) values[i] = (int) number;
            else throw new IllegalArgumentException(name + " must be a whole number, but is " + number);
        }
        try {
            Class<?>[] types = Arrays.stream(all).map(RecordComponent::getType).toArray(Class<?>[]::new);
            Constructor<? extends History> maker = history.getClass().getDeclaredConstructor(types);
            return maker.newInstance(values);
        } catch (InvocationTargetException e) {
            if (e.getCause() instanceof IllegalArgumentException refused) throw refused;
            throw new IllegalStateException(e);
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException(e);
        }
    }

    private static RecordComponent component(History history, String name) {
        for (RecordComponent component : history.getClass().getRecordComponents()) {
            if (component.getName().equals(name)) return component;
        }
        throw new IllegalStateException(history.name() + " has no " + name);
    }
}
