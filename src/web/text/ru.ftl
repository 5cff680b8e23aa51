# Консоль по-русски. Ключи одни во всех языках; за этим следит проверка.
skip = К содержанию
menu = Меню
nav-label = Разделы
nav-label-phone = Разделы, на телефоне
nav-reports = Отчёты
nav-numbers-group = Номера
nav-set-up = Настройка
nav-system = Система
nav-overview = Обзор
nav-calls = Звонки
nav-live = Сейчас
nav-pools = Пулы
nav-numbers = Номера
nav-planner = Расчёт пула
nav-new-channel = Новый канал
nav-catalogue = Каталог
nav-install = Проверка установки
nav-health = Состояние
nav-events = Журнал
nav-demo = Демонстрация
search-label = Найти звонки по номеру
search-hint = Часть номера
switch-language = Язык
switch-theme = Цвета
theme-system = Как в системе
theme-light = Светлая
theme-dark = Тёмная
sign-out = Выйти
sign-in = Вход
sign-in-token = Ключ доступа
sign-in-wrong = Ключ не подходит.
sign-in-script = Для входа нужен JavaScript; программы передают ключ с каждым запросом.
health-ready = принимает звонки
health-starting = запускается
health-draining = останавливается
keys-title = Клавиши
key-help = эта подсказка
key-search = найти звонки
key-rows = следующая и предыдущая строка
key-pages = новее и старее
close = Закрыть
yes = да
no = нет
any = любой
more = Ещё
edit = Изменить
cancel = Отмена
next = Далее
back = Назад
copy = Копировать
copied = Скопировано
reload = Обновить
csv = CSV
numbers = номеров
chart-figures = Цифры

# Плитки
tile-live = Звонков сейчас
tile-today = Звонков сегодня
tile-answered = Отвечено сегодня
tile-visitors = Номеров на страницах
overview-none = Звонков пока нет. Чего не хватает, скажет проверка установки.
calls-all = Все звонки
calls-newest = Последние звонки
calls-older = Более ранние
calls-none = Под эти условия не подходит ни один звонок.
calls-count = { $n ->
    [one] { $shown } звонок
    [few] { $shown } звонка
   *[other] { $shown } звонков
}
numbers-count = { $n ->
    [one] { $shown } номер
    [few] { $shown } номера
   *[other] { $shown } номеров
}

# Столбцы и условия
columns = Столбцы
column-time = Время
column-caller = Кто звонил
column-number = Номер
column-origin = Источник
column-medium = Канал
column-term = Ключевое слово
column-confidence = Уверенность
column-status = Итог
column-wait = Ожидание
column-talk = Разговор
column-company = Компания
column-pool = Пул
column-region = Регион
column-recording = Запись
filter-since = С
filter-until = По
filter-outcome = Итог
filter-source = Источник
filter-medium = Канал
filter-campaign = Кампания
filter-pool = Пул
filter-company = Компания
filter-number = Номер подмены
filter-attribution = Как узнан
filter-below = Уверенность ниже
filter-state = Состояние
filter-q = Часть номера
filters-more = Ещё условия
filters-apply = Показать
filters-clear = Сбросить
filter-save = Сохранить условия
filter-name = Название
filter-forget = Забыть
preset-today = Сегодня
preset-missed = Без ответа
preset-unsure = Источник под вопросом
preset-unknown = Источник неизвестен

# Звонки
outcome-answered = отвечен
outcome-no-answer = нет ответа
outcome-busy = занято
outcome-cancelled = не дождался
outcome-rejected = отклонён
outcome-failed = сбой
outcome-voicemail = автоответчик
outcome-lost-in-crash = потерян при сбое
phase-ringing = вызов
phase-talking = разговор
phase-ended = окончен
kind-visitor = посетитель
kind-static = статический
kind-none = неизвестно
origin-direct = прямой заход
origin-static = статический номер
origin-unknown = неизвестно
caller-withheld = номер скрыт
caller-anonymous = номер скрыт
side-caller = Звонивший
side-company = Компания
recording-complete = полная
recording-degraded = с пропусками
recording-failed = не удалась
recording-off = не записан
hangup-caller = трубку положил звонивший
hangup-company = трубку положила компания
hangup-system = завершён системой
utm-source = Источник
utm-medium = Канал
utm-campaign = Кампания
utm-term = Ключевое слово
utm-content = Объявление
call-title = Звонок от { $caller }
call-why = Кто звонил и почему мы так думаем
call-recording = Запись
call-timeline = Ход событий
call-versions = Как менялся источник
call-ladder = Сообщения SIP
call-events = События
fact-origin = Источник
fact-number = Номер подмены
fact-pool = Пул
fact-started = Начало
fact-wait = Ожидание
fact-talk = Разговор
fact-forwarded = Переведён на
fact-name = Имя
fact-region = Регион звонившего
fact-end = Окончание
fact-id = Код звонка
method-active-lease = Номер был на странице этого посетителя в ту минуту.
method-last-holder = Последним этот номер видел этот посетитель.
method-known-caller = Звонивший известен по прежним звонкам.
method-static-channel = Номер принадлежит этому каналу.
method-nobody = Вероятнее, что звонил не известный нам посетитель.
method-none = Никто из известных нам не видел этого номера.
why-stale = Таблица номеров в ту минуту отставала.
why-contention = { $n ->
    [one] Номер был на странице { $shown } посетителя.
   *[other] Номер был на страницах { $shown } посетителей.
}
why-model = Решала модель { $model }.
candidates = Кто мог звонить
candidate = Посетитель
probability = Вероятность
reasons = Основания
nobody = Никто из известных
nobody-why = Ошибка номером, старая реклама, номер передали.
sources-shares = По источникам
visit = Посещение
visit-landing = Страница входа
visit-referrer = Откуда пришёл
evidence-shown = на странице { $span }
evidence-left = ушёл со страницы { $span } назад
evidence-tapped = нажал на номер { $span } назад
evidence-copied = скопировал номер { $span } назад
evidence-hidden = страница скрылась из виду { $span } назад
evidence-again = этот номер звонил { $span } назад и был принят за него
evidence-renamed = этот номер звонил { $span } назад, но принятый за него номера не видел
evidence-contention = номер на страницах { $span } посетителей
evidence-region = номер звонившего из региона посетителя
evidence-other-region = номер звонившего из другого региона
evidence-history = прежние звонки говорят за другого
unit-s = с
unit-min = мин
unit-h = ч
unit-d = д
step-clicked = щёлкнул по рекламе
step-started = звонок поступил
step-ringing = зазвонил у компании
step-answered = ответили
step-ended = окончен
wave-label = Форма звука: звонивший сверху, компания снизу
wave-none = Формы звука нет: записи нет здесь в виде простого WAV.
player-speed = Скорость
player-download = Скачать
gaps = Пропуски
gaps-count = { $n ->
    [one] { $shown } пропуск
    [few] { $shown } пропуска
   *[other] { $shown } пропусков
}
gap-at = Когда
gap-for = Длина
gap-side = Сторона
gap-cause = Причина
gap-loss = потеряны пакеты
gap-late = пакеты опоздали
gap-hold = удержание
gap-dtx = тишину не передавали
gap-comfort-noise = комфортный шум
gap-no-media = ничего не передавали
gap-disk = диск
gap-overload = перегрузка
gap-crash = сбой
gap-codec = неизвестный кодек
gap-paused = запись на паузе
media = Звук
media-codec = Кодек
media-received = Пакетов
media-lost = Потеряно
media-jitter = Джиттер
ladder-none = Сообщения этого звонка больше не хранятся.
ladder-text = Текстом
ladder-pcap = Для Wireshark
ladder-left-out = { $n ->
    [one] и ещё { $shown } сообщение
    [few] и ещё { $shown } сообщения
   *[other] и ещё { $shown } сообщений
}
event-call = К звонку
event-call-started = звонок начался
event-call-answered = ответили
event-call-ended = звонок окончен
event-call-transferred = переведён
event-call-refused = отказано
event-call-labelled = поставлена метка
event-call-commented = комментарий
event-call-scored = оценён
event-call-valued = указана сумма
event-recording-sealed = запись готова
event-recording-recovered = запись восстановлена
event-recording-played = прослушано
event-recording-erased = запись стёрта
event-recording-held = запись удержана от стирания
event-recording-released = удержание снято
event-recording-archived = запись в архиве
event-recording-paused = запись на паузе
event-recording-resumed = запись продолжена
event-lease-granted = номер выдан посетителю
event-lease-renewed = всё ещё на странице
event-lease-released = страница закрыта
event-lease-expired = аренда окончена
event-lease-signal = замечено на странице
event-catalogue-changed = каталог изменён
event-node-started = система запущена
event-node-stopped = система остановлена
event-trunk-up = транк отвечает
event-trunk-down = транк не отвечает
event-trunk-registered = регистрация на транке есть
event-trunk-unregistered = регистрации на транке нет
event-media-silent = одну сторону не слышно
event-export-sent = передано
event-export-rejected = передача отклонена
event-export-linked = передача сопоставлена
event-export-retracted = передача отозвана
event-user-signed-in = вход
event-user-refused = во входе отказано
event-user-changed = изменён пользователь
event-report-exported = отчёт выгружен

# Сейчас
live-on = обновляется
live-off = не обновляется
live-none = Сейчас звонков нет.
live-count = { $n ->
    [one] { $shown } звонок сейчас
    [few] { $shown } звонка сейчас
   *[other] { $shown } звонков сейчас
}
live-for = Длится
live-to = Переведён на
live-paused = запись на паузе
live-hang-up = Завершить
live-hang-up-who = Завершить звонок от { $who }
live-reload = Без JavaScript страница не обновляется сама.

# Пулы и номера
pools-none = Пулов пока нет.
pool-title = Пул { $name }
pool-kind-dynamic = динамический
pool-kind-static = статический
pool-no-channel = канал не указан
pool-short = не хватает номеров
pool-grows = растёт сам
pool-granted = Выдано с запуска
pool-shared = Из них на двоих и более
pool-exhausted = Посетителей без номера
pool-exhausted-words = { $n ->
    [one] { $shown } посетитель увидел настоящий номер: свободных не было.
    [few] { $shown } посетителя увидели настоящий номер: свободных не было.
   *[other] { $shown } посетителей увидели настоящий номер: свободных не было.
}
pool-instead = Показан статический номер
pool-hold = Удержание после посещения
pool-minutes-short = Минут нехватки за сутки
pool-contended = Звонков на общие номера за сутки
pool-planned = Нужный размер
pool-added = Добавлено само
state-leased = на странице
state-held = удержан
state-free = свободен
state-static = статический
state-resting = отдыхает
numbers-none = Номеров в этом состоянии нет.
numbers-all = Все номера пула
number-title = Номер { $number }
number-keeping = Содержание
number-calls = Звонков
number-background = Посторонних звонков за сутки
number-last-call = Последний звонок
number-leaked = Утёк
number-tested = Проверочный звонок вернулся
number-lease = У кого он сейчас или был в последний раз
number-no-lease = Его ещё никому не выдавали.
number-shown = Показан посетителю из
number-until = До
keeping-in-use = в работе
keeping-resting = отдыхает
keeping-leaving = выводится
keeping-listening = слушаем
lease-granted = Выдан
lease-seen = Последний признак
lease-hold = Удержан до
lease-visitor = Посетитель

# Расчёт
planner-about = Сколько номеров нужно сайту: одновременные посещения по формуле потерь Эрланга, за самый загруженный час дня.
planner-visits = Посещений в день
planner-page = Время на сайте
planner-hold = Удержание
planner-blocking = Доля посещений без своего номера
planner-price = Цена номера в месяц
planner-channels = Каналов
planner-forecast = Прогноз, например 3@2026-12-01..2026-12-24
planner-plan = Рассчитать
planner-numbers = Номеров, чтобы никто не делил номер на странице
planner-numbers-hold = Номеров, чтобы сохранялись и удержания
planner-on-page = Посетителей одновременно
planner-curve = Доля посещений без своего номера по размеру пула
planner-blocked = номер делят на странице
planner-reused = номер выдан до конца удержания
planner-aim = цель
planner-sizes = Размеры
planner-cost = В месяц
planner-compare = Что ещё можно купить на это
planner-way = Способ
planner-tells = Звонок скажет
planner-forecasted = При росте { $forecast }: номеров { $numbers }, на { $more } больше обычного.
plan-one-dynamic = один динамический пул
plan-static-per-channel = статический номер на канал
plan-dynamic-per-channel = динамический пул на канал
tells-visitor = посетителя
tells-channel = канал

# Проверка установки
install-no-site = Сайтов нет. Заведите сайт в каталоге.
install-your-number = ваш настоящий номер
install-snippet = Код для сайта
install-where = Вставьте перед </body> каждой страницы. Код мал, грузится рядом со страницей и при любой ошибке оставляет настоящий номер.
install-version = Для проверки целостности есть версия, которая не меняется:
install-no-pool = У сайта ещё нет динамического пула.
install-checks = Проверка вживую
install-done = { $done } из { $all }
check-yes = да
check-not-yet = ещё нет
check-snippet = Код замечен на странице
check-numbers = Посетители получают номера
check-tap = На номер нажали
check-call = На один из номеров позвонили
check-recording = Запись воспроизводится
check-export = Событие передано
check-seen-at = последний раз { $at }
check-granted = { $n ->
    [one] { $shown } посетитель
    [few] { $shown } посетителя
   *[other] { $shown } посетителей
}
check-tapped = { $n ->
    [one] { $shown } нажатие
    [few] { $shown } нажатия
   *[other] { $shown } нажатий
}
check-sinks = { $n ->
    [one] { $shown } получатель
    [few] { $shown } получателя
   *[other] { $shown } получателей
}
hint-check-snippet = Откройте страницу сайта в браузере.
hint-check-numbers = На странице должен быть настоящий номер, а у сайта пул со свободными номерами.
hint-check-tap = Нажмите на номер на телефоне; нужна ссылка tel:.
hint-check-call = Позвоните на номер, который показывает страница.
hint-check-recording = Поговорите несколько секунд; запись готова, когда звонок окончен.
hint-check-export = Настройте получателя событий; туда идёт каждый оконченный звонок.

# Состояние
trunks = Транки
trunk = Транк
trunks-none = Транков нет.
trunk-match = Звонки с адресов
trunk-registration = Регистрация
trunk-probe = Отвечает
trunk-no-registration = не нужна
trunk-no-probe = не спрашиваем
registration-registered = есть
registration-registering = идёт
probe-up = отвечает
probe-down = не отвечает
probe-degraded = звонков не берёт
probe-unknown = пока неизвестно
health-metrics = Метрики
health-journal = Журнал
health-writing = пишется
health-waiting = ждёт диска
health-journal-seq = Событий в журнале
health-journal-queue = Событий ждут записи
health-dropped = Событий потеряно
health-table = Таблица номеров
health-fresh = свежая
health-stale = отстала
health-version = Версия
media-lately = Звук последних 100 звонков
media-poor = MOS ниже 3,6

# Журнал
events-kind = События
events-kind-all = все
events-kind-audit = аудит: слушали, меняли, выгружали
events-kind-calls = звонки
events-kind-recordings = записи
events-kind-leases = номера
events-kind-exports = передачи
events-none = Среди последних событий таких нет.
events-older = Более ранние

# Каталог
sites = Сайты
companies = Компании
sinks = Получатели событий
versions = Версии
catalogue-none = Пока пусто.
catalogue-new-site = Новый сайт
catalogue-whole = Всё в JSON
catalogue-saved = Сохранено и действует.
catalogue-version = Версия { $version }, кто: { $by }
catalogue-edit = Новая запись
catalogue-edit-name = Изменить { $name }
catalogue-json = JSON с ключами файла настроек
catalogue-keys = Имена ключей те же, что в файле настроек. Ничего не сохранится, пока вы не увидите, что изменится.
catalogue-show-diff = Показать, что изменится
catalogue-remove = Удалить
catalogue-diff = Что изменится
catalogue-no-change = Ничего не изменится.
catalogue-note = Примечание для списка версий
catalogue-save = Сохранить и ввести в действие
companies-file = Маршруты берутся из файла настроек; что компании доступно и сколько она платит, меняется здесь.
sinks-file = Получатели событий берутся из файла настроек.
company-forward = Переводит на
company-tracking = Учёт
version = Версия
version-by = Кто
version-changes = Изменения
version-current = действует
versions-none = Изменений ещё не было: действует файл настроек.
version-title = Версия { $version }
version-back = Возврат к ней изменит
version-roll-back = Вернуться к этой версии
key-name = Имя
key-company = Компания
key-site = Сайт
key-kind = Вид
key-numbers = Номера
key-traffic = Трафик
key-priority = Приоритет
key-origins = Адреса

# Мастер
steps = Шаги
step-kind = Вид канала
step-traffic = Трафик
step-numbers = Номера
step-display = Показ
step-snippet = Код и проверка
channel-kind = Вид
channel-dynamic = Динамический
channel-static = Статический
hint-channel-dynamic = У каждого посетителя сайта свой номер; звонок скажет кампанию, ключевое слово и посетителя.
hint-channel-static = Один номер на источник: щит, визитка, газета. Звонок скажет канал.
channel-name = Имя (ключ в отчётах, не меняется)
channel-title = Название (его видят люди)
channel-site = Сайт
channel-mode = Настройки
channel-standard = Стандартные
channel-own = Свои
hint-channel-standard = Вид трафика, который узнаётся сам.
hint-channel-own = Условия на параметры адреса.
channel-traffic = Вид трафика
channel-conditions = Свои условия (с * и ?)
channel-utm-source = utm_source
channel-utm-medium = utm_medium
channel-utm-campaign = utm_campaign
channel-source = Источник
channel-medium = Канал
channel-campaign = Кампания
channel-static-traffic = К чему относить звонки на эти номера.
channel-from = Откуда номера
channel-from-own = Свои номера
channel-from-provider = От поставщика
hint-channel-from-own = Номера, звонки на которые оператор уже передаёт сюда.
hint-channel-from-provider = Пул закажет, сколько нужно.
channel-no-provider = Поставщик не настроен, поэтому номера свои.
channel-numbers = Номера в любой записи; по одному в строке или диапазоны A..B
channel-country = Страна номеров без префикса (две буквы)
channel-binding = Кто делит номер
binding-visitor = Никто
binding-params = Кампания
hint-binding-visitor = У каждого посетителя свой номер.
hint-binding-params = У посетителей одного источника, канала и кампании номер общий.
channel-static-display = Статический номер печатают, называют или пишут там, где источник. Код на страницах для него не нужен.
channel-dynamic-display = Номер остаётся у посетителя, пока открыта страница, и ещё на время удержания.
channel-review = Что будет создано
channel-again = { $n ->
    [one] { $shown } написан дважды
   *[other] { $shown } написаны дважды
}
channel-create = Создать канал
channel-done = Канал { $name } создан: { $numbers }.
channel-note = канал { $name }
channel-static-done = Размещайте эти номера; первый звонок появится в списке звонков.
channel-no-name = Каналу нужно имя.
channel-name-taken = Пул с таким именем уже есть.
channel-no-site = Динамическому каналу нужен сайт.
channel-no-source = Статическому каналу нужен источник.
channel-no-numbers = Напишите хотя бы один номер.
channel-bad-number = Это не номер телефона: { $text }
channel-number-taken = { $number } уже в другом пуле.
traffic-yandex-direct = Яндекс.Директ
traffic-google-ads = Google Ads
traffic-organic = поиск
traffic-social = соцсети
traffic-referral = ссылки
traffic-direct = прямые заходы
traffic-email = рассылка

# Ошибки
problem-unknown-call = Такого звонка нет
problem-unknown-pool = Такого пула нет
problem-unknown-number = Такого номера нет
problem-unknown-version = Такой версии нет
problem-bad-parameter = Так спросить нельзя
problem-catalogue-changed = За это время каталог изменили
problem-bad-catalogue = В каталоге ошибки
problem-token-required = Сначала войдите
problem-not-found = Здесь ничего нет

# Overview
overview-days = Звонки по дням
day = День
series-answered = отвечены
series-missed = пропущены
series-failed = со сбоем
tile-yesterday = вчера { $figure }

# Отчёты
nav-work = Работа
nav-sources = Источники
nav-missed = Пропущенные
nav-hours = Часы
nav-regions = Регионы
nav-agents = Сотрудники
unknown = неизвестно
agent = Кто отвечает
hour = Час
report-none = За это время звонков не было.
report-cut = Из старых звонков учтены только последние пять тысяч.
report-calls = Всего звонков
report-callers = Позвонивших
report-quality = Качественных
report-first = Первичных
report-repeat = Повторных
report-answered = Отвечено
report-answered-calls = отвечены
report-quick = За 20 с
report-wait = Ожидание
report-talk = Разговор
report-short = короткий разговор
report-missed = пропущены
report-missed-share = Доля от всех звонков
report-by-source = Звонки по источникам
report-way = Путь
report-static-caveat = Позвонившие на статический номер могли прийти и иначе: увидели рекламу, а адрес набрали позже.
report-more-rows = { $n ->
    [one] и ещё { $shown } строка
    [few] и ещё { $shown } строки
   *[other] и ещё { $shown } строк
}
missed-waiting = Не перезвонили
missed-hours = Пропущенные по дням недели и часам
missed-list = Пропущенные звонки
missed-none = Пропущенных нет.
missed-after = Связались через
missed-not-yet = ещё нет
hours-week = Звонки по дням недели и часам
hours-day = Звонки по часам дня
regions-calls = Звонки по регионам звонивших
agents-calls = Звонки по тому, кто отвечает

# Окончания звонков
reason-caller-hung-up = положена трубка
reason-company-hung-up = положена трубка
reason-no-answer = не ответили вовремя
reason-busy = занято
reason-erased = стёрта
