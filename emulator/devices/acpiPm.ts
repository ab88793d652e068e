/**
 * The ACPI fixed hardware: PM1a event and control registers and the power-management timer, at the offsets that the
 * FADT names. There is no system-management mode, so SCI_EN is always set. Offsets: 0 PM1_STS, 2 PM1_EN, 4 PM1_CNT,
 * 8 PM_TMR.
 *
 * @see ACPI 6.5, "ACPI Register Model", 4.8.3: PM1 Event Grouping, PM1 Control Grouping, Power Management Timer
 */
import type { Alarm, Clock } from '../base/clock.ts';
import { periodsInTicks, ticksForPeriods } from '../base/clock.ts';
import type { IrqLine } from '../base/ports.ts';
import { SavedState, savedDeadline } from '../base/savedState.ts';
import type { StateRecord } from '../base/stateValue.ts';
import type { AccessSize, Device } from './device.ts';

const PM_TIMER_HERTZ = 3_579_545;
/** The timer has 24 bits. */
const TIMER_MASK = 0xff_ffff;
/** TMR_STS is set whenever the timer's most significant bit changes. */
const TIMER_CARRY_PERIODS = 0x80_0000;

const PM1_STATUS = 0;
const PM1_ENABLE = 2;
const PM1_CONTROL = 4;
const PM_TIMER = 8;

const TIMER_STATUS = 0x0001;
const POWER_BUTTON_STATUS = 0x0100;
const STATUS_BITS = 0x8521;
const ENABLE_BITS = 0x0521;

const CONTROL_SCI_ENABLE = 0x0001;
const CONTROL_SLEEP_TYPE_SHIFT = 10;
const CONTROL_SLEEP_TYPE_BITS = 0x1c00;
const CONTROL_SLEEP_ENABLE = 0x2000;

export interface AcpiPmConfig {
  readonly clock: Clock;
  /** The system control interrupt, level-triggered. */
  readonly sci: IrqLine;
  /** SLP_TYP of the soft-off state, as `\_S5` in the DSDT says. */
  readonly softOffType: number;
  /** The guest entered S5. */
  readonly powerOff: () => void;
}

export class AcpiPm implements Device {
  readonly name = 'acpi-pm';
  readonly #clock: Clock;
  readonly #sci: IrqLine;
  readonly #softOffType: number;
  readonly #powerOff: () => void;
  /** Rings at the next timer carry while its interrupt is enabled. */
  readonly #carryAlarm: Alarm;
  #registers = initialRegisters();

  constructor({ clock, sci, softOffType, powerOff }: AcpiPmConfig) {
    this.#clock = clock;
    this.#sci = sci;
    this.#softOffType = softOffType;
    this.#powerOff = powerOff;
    this.#carryAlarm = clock.createAlarm('acpi-pm timer carry', () => this.#update());
  }

  /** The power button was pressed. */
  pressPowerButton(): void {
    this.#registers.status |= POWER_BUTTON_STATUS;
    this.#update();
  }

  read(offset: number, size: AccessSize): number {
    return this.peek(offset, size);
  }

  peek(offset: number, size: AccessSize): number {
    let value = 0;
    for (let byte = size - 1; byte >= 0; byte -= 1) value = value * 256 + this.#byte(offset + byte);
    return value;
  }

  write(offset: number, size: AccessSize, value: number): void {
    for (let byte = 0; byte < size; byte += 1) this.#writeByte(offset + byte, (value >>> (8 * byte)) & 0xff);
    this.#update();
  }

  reset(): void {
    const carriesSeen = this.#carries();
    this.#registers = { ...initialRegisters(), carriesSeen };
    this.#update();
  }

  save(): StateRecord {
    return { ...this.#registers, carry: savedDeadline(this.#carryAlarm) };
  }

  restore(state: StateRecord): void {
    const saved = new SavedState(this.name, state);
    saved.into(this.#registers);
    saved.alarm('carry', this.#carryAlarm);
  }

  #byte(offset: number): number {
    const { enable, control } = this.#registers;
    const register = offset & ~1;
    const shift = (offset & 1) * 8;
    switch (register) {
      case PM1_STATUS:
        return (this.#status() >> shift) & 0xff;
      case PM1_ENABLE:
        return (enable >> shift) & 0xff;
      case PM1_CONTROL:
        return (control >> shift) & 0xff;
      case PM_TIMER:
      case PM_TIMER + 2:
        return (this.#timer() >> (8 * (offset - PM_TIMER))) & 0xff;
    }
    return 0xff;
  }

  #writeByte(offset: number, value: number): void {
    const registers = this.#registers;
    const shift = (offset & 1) * 8;
    const kept = 0xff00 >> shift;
    switch (offset & ~1) {
      case PM1_STATUS:
        // Writing 1 clears.
        registers.status = this.#status() & ~(value << shift);
        registers.carriesSeen = this.#carries();
        break;
      case PM1_ENABLE:
        registers.enable = ((registers.enable & kept) | (value << shift)) & ENABLE_BITS;
        break;
      case PM1_CONTROL:
        this.#writeControl((registers.control & kept) | (value << shift));
        break;
    }
  }

  #writeControl(value: number): void {
    this.#registers.control = CONTROL_SCI_ENABLE | (value & CONTROL_SLEEP_TYPE_BITS);
    // Only S5 is described to the guest; other sleep types do nothing here.
    const sleepType = (value & CONTROL_SLEEP_TYPE_BITS) >> CONTROL_SLEEP_TYPE_SHIFT;
    if ((value & CONTROL_SLEEP_ENABLE) !== 0 && sleepType === this.#softOffType) this.#powerOff();
  }

  #status(): number {
    const { status, carriesSeen } = this.#registers;
    return (status | (this.#carries() !== carriesSeen ? TIMER_STATUS : 0)) & STATUS_BITS;
  }

  #periods(): number {
    return periodsInTicks(this.#clock.now(), PM_TIMER_HERTZ);
  }

  #timer(): number {
    return this.#periods() % (TIMER_MASK + 1);
  }

  /** How often the timer's top bit has changed since power-on. */
  #carries(): number {
    return Math.floor(this.#periods() / TIMER_CARRY_PERIODS);
  }

  #update(): void {
    const { enable } = this.#registers;
    const status = this.#status();
    this.#sci.set((status & enable) !== 0);
    if ((enable & TIMER_STATUS) !== 0 && (status & TIMER_STATUS) === 0) {
      this.#carryAlarm.arm(ticksForPeriods((this.#carries() + 1) * TIMER_CARRY_PERIODS, PM_TIMER_HERTZ));
    } else {
      this.#carryAlarm.disarm();
    }
  }
}

function initialRegisters() {
  return {
    status: 0,
    enable: 0,
    control: CONTROL_SCI_ENABLE,
    /** Timer carries that TMR_STS was cleared for. */
    carriesSeen: 0,
  };
}
