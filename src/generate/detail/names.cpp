// SPDX-License-Identifier: Apache-2.0
#include "generate/detail/names.hpp"

#include <fmt/format.h>

#include <array>

namespace meridian::generate {
namespace {

struct Surname {
    std::string_view zh, latin;
    double weight;
};
// Weights follow the order of frequency of the national name report of the Ministry of Public
// Security (data/region/README.md).
constexpr Surname surnames[] = {
    {"王", "Wang", 7.25},  {"李", "Li", 7.19},    {"张", "Zhang", 6.83},    {"刘", "Liu", 5.38},
    {"陈", "Chen", 4.53},  {"杨", "Yang", 3.08},  {"黄", "Huang", 2.23},    {"赵", "Zhao", 2.29},
    {"吴", "Wu", 2.05},    {"周", "Zhou", 2.12},  {"徐", "Xu", 1.67},       {"孙", "Sun", 1.54},
    {"马", "Ma", 1.29},    {"朱", "Zhu", 1.26},   {"胡", "Hu", 1.31},       {"郭", "Guo", 1.15},
    {"何", "He", 1.17},    {"林", "Lin", 1.18},   {"高", "Gao", 1.00},      {"罗", "Luo", 0.95},
    {"郑", "Zheng", 0.93}, {"梁", "Liang", 0.90}, {"谢", "Xie", 0.82},      {"宋", "Song", 0.81},
    {"唐", "Tang", 0.75},  {"许", "Xu", 0.73},    {"韩", "Han", 0.68},      {"邓", "Deng", 0.66},
    {"冯", "Feng", 0.64},  {"曹", "Cao", 0.60},   {"彭", "Peng", 0.58},     {"曾", "Zeng", 0.58},
    {"肖", "Xiao", 0.56},  {"田", "Tian", 0.51},  {"董", "Dong", 0.51},     {"潘", "Pan", 0.48},
    {"袁", "Yuan", 0.48},  {"蔡", "Cai", 0.46},   {"蒋", "Jiang", 0.46},    {"余", "Yu", 0.43},
    {"于", "Yu", 0.42},    {"杜", "Du", 0.41},    {"叶", "Ye", 0.40},       {"程", "Cheng", 0.39},
    {"魏", "Wei", 0.38},   {"苏", "Su", 0.37},    {"吕", "Lv", 0.36},       {"丁", "Ding", 0.35},
    {"任", "Ren", 0.34},   {"卢", "Lu", 0.33},    {"姚", "Yao", 0.32},      {"沈", "Shen", 0.32},
    {"钟", "Zhong", 0.31}, {"姜", "Jiang", 0.30}, {"崔", "Cui", 0.28},      {"谭", "Tan", 0.27},
    {"陆", "Lu", 0.26},    {"范", "Fan", 0.25},   {"欧阳", "Ouyang", 0.09}, {"司马", "Sima", 0.03},
};
struct Syllable {
    std::string_view zh, latin;
};
constexpr Syllable male_given[] = {
    {"建", "jian"}, {"国", "guo"},  {"伟", "wei"}, {"强", "qiang"}, {"军", "jun"},  {"勇", "yong"},
    {"明", "ming"}, {"志", "zhi"},  {"文", "wen"}, {"华", "hua"},   {"平", "ping"}, {"海", "hai"},
    {"涛", "tao"},  {"鹏", "peng"}, {"浩", "hao"}, {"宇", "yu"},    {"杰", "jie"},  {"斌", "bin"},
    {"波", "bo"},   {"峰", "feng"}, {"林", "lin"}, {"德", "de"},    {"永", "yong"}, {"春", "chun"},
    {"庆", "qing"}, {"荣", "rong"}, {"辉", "hui"}, {"子", "zi"},    {"轩", "xuan"}, {"晨", "chen"},
    {"俊", "jun"},  {"凯", "kai"},  {"睿", "rui"}, {"泽", "ze"},    {"东", "dong"}, {"立", "li"},
    {"松", "song"}, {"祥", "xiang"}};
constexpr Syllable female_given[] = {
    {"秀", "xiu"},  {"英", "ying"}, {"芳", "fang"}, {"娜", "na"},   {"敏", "min"}, {"静", "jing"},
    {"丽", "li"},   {"娟", "juan"}, {"艳", "yan"},  {"霞", "xia"},  {"桂", "gui"}, {"兰", "lan"},
    {"玉", "yu"},   {"萍", "ping"}, {"红", "hong"}, {"玲", "ling"}, {"燕", "yan"}, {"梅", "mei"},
    {"雪", "xue"},  {"琳", "lin"},  {"欣", "xin"},  {"怡", "yi"},   {"涵", "han"}, {"诗", "shi"},
    {"雨", "yu"},   {"佳", "jia"},  {"慧", "hui"},  {"凤", "feng"}, {"淑", "shu"}, {"珍", "zhen"},
    {"晓", "xiao"}, {"春", "chun"}, {"婷", "ting"}, {"倩", "qian"}, {"月", "yue"}, {"云", "yun"},
    {"清", "qing"}, {"莉", "li"}};
constexpr std::string_view english_families[] = {
    "Smith",  "Johnson",  "Williams", "Brown",      "Jones",     "Miller",    "Davis",
    "Wilson", "Anderson", "Taylor",   "Thomas",     "Moore",     "Martin",    "Thompson",
    "White",  "Harris",   "Clark",    "Lewis",      "Robinson",  "Walker",    "Young",
    "King",   "Wright",   "Scott",    "Green",      "Baker",     "Adams",     "Nelson",
    "Hill",   "Campbell", "Mitchell", "Roberts",    "Carter",    "Phillips",  "Evans",
    "Turner", "Parker",   "Collins",  "Edwards",    "Stewart",   "Morris",    "Murphy",
    "Cook",   "Rogers",   "Bell",     "Bailey",     "Cooper",    "Reed",      "O'Brien",
    "Hughes", "Fraser",   "MacLeod",  "Fitzgerald", "Pemberton", "Whitfield", "Ashworth"};
constexpr std::string_view english_male[] = {
    "James",  "John",    "Robert",  "Michael", "William", "David", "Richard", "Joseph",
    "Thomas", "Charles", "Daniel",  "Matthew", "Anthony", "Mark",  "Steven",  "Paul",
    "Andrew", "George",  "Kenneth", "Edward",  "Brian",   "Kevin", "Peter",   "Henry",
    "Oliver", "Jack",    "Samuel",  "Ethan",   "Noah",    "Lucas", "Arthur",  "Walter"};
constexpr std::string_view english_female[] = {
    "Mary",      "Patricia",  "Jennifer", "Linda",    "Elizabeth", "Barbara", "Susan",  "Jessica",
    "Sarah",     "Karen",     "Nancy",    "Margaret", "Emily",     "Helen",   "Laura",  "Anna",
    "Ruth",      "Catherine", "Alice",    "Grace",    "Emma",      "Olivia",  "Sophie", "Chloe",
    "Charlotte", "Amelia",    "Julia",    "Rose",     "Dorothy",   "Frances", "Hannah", "Lucy"};

constexpr District districts[district_count] = {
    {"lanan", "澜岸区", "Lan'an District", "990101", 1, 0.22},
    {"qingsui", "青穗区", "Qingsui District", "990102", 2, 0.20},
    {"heting", "鹤汀区", "Heting District", "990103", 3, 0.18},
    {"xinglan", "星澜区", "Xinglan District", "990104", 4, 0.17},
    {"tonglin", "桐霖区", "Tonglin District", "990105", 5, 0.13},
    {"songlai", "松濑县", "Songlai County", "990106", 6, 0.10},
};
struct Street {
    std::string_view zh, en;
};
constexpr Street streets[] = {
    {"云桥路", "Yunqiao Road"},  {"澄湖路", "Chenghu Road"}, {"望汀街", "Wangting Street"},
    {"松风路", "Songfeng Road"}, {"白鹭街", "Bailu Street"}, {"书院路", "Shuyuan Road"},
    {"桂岭路", "Guiling Road"},  {"长汐路", "Changxi Road"}, {"星港大道", "Xinggang Avenue"},
    {"梧桐里", "Wutong Lane"},   {"采薇路", "Caiwei Road"},  {"汀兰街", "Tinglan Street"}};

std::string capital(std::string_view latin) {
    std::string text(latin);
    if (!text.empty()) text[0] = static_cast<char>(text[0] - 'a' + 'A');
    return text;
}

Name english_name(Random& random, bool male) {
    Name name;
    name.english = true;
    name.family = random.pick(english_families);
    name.given = male ? random.pick(english_male) : random.pick(english_female);
    name.family_latin = name.family;
    name.given_latin = name.given;
    return name;
}

}  // namespace

Name draw_name(Random& random, bool male, bool english) {
    if (english) return english_name(random, male);
    static const double total = [] {
        double sum = 0;
        for (const auto& surname : surnames) sum += surname.weight;
        return sum;
    }();
    double left = random.unit() * total;
    const Surname* surname = &surnames[0];
    for (const auto& candidate : surnames) {
        surname = &candidate;
        if ((left -= candidate.weight) < 0) break;
    }
    // 林林 or 高高 would read like a slip.
    const Syllable* drawn = male ? &random.pick(male_given) : &random.pick(female_given);
    while (drawn->zh == surname->zh)
        drawn = male ? &random.pick(male_given) : &random.pick(female_given);
    const Syllable& first = *drawn;
    Name name;
    name.family = surname->zh;
    name.family_latin = surname->latin;
    name.given = first.zh;
    name.given_latin = capital(first.latin);
    // Most given names have two characters.
    if (random.chance(0.87)) {
        const Syllable& second = male ? random.pick(male_given) : random.pick(female_given);
        name.given += second.zh;
        name.given_latin += second.latin;
    }
    return name;
}

const District& district(int index) {
    return districts[index];
}

std::string draw_street(Random& random, int, bool english) {
    const Street& street = random.pick(streets);
    const int number = random.between(1, 260), building = random.between(1, 30),
              floor = random.between(1, 24);
    const int flat = floor * 100 + random.between(1, 4);
    return english ? fmt::format("{} {}, Building {}, Flat {}", number, street.en, building, flat)
                   : fmt::format("{}{}号{}幢{}室", street.zh, number, building, flat);
}

char resident_check(std::string_view first_17_digits) {
    static constexpr int weights[17] = {7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2};
    int sum = 0;
    for (std::size_t i = 0; i < 17; ++i) sum += (first_17_digits[i] - '0') * weights[i];
    return "10X98765432"[sum % 11];
}

std::string resident_id(int district_index, Day birth, bool male, std::uint64_t number) {
    const CivilDate date = civil(birth);
    // The sequence number is odd for men and even for women; three digits cannot be unique beyond
    // 500 per day and sex.
    const auto sequence = static_cast<unsigned>((number % 500) * 2 + (male ? 1 : 0)) % 1000;
    std::string id = fmt::format("9901{:02}{:04}{:02}{:02}{:03}", districts[district_index].code,
                                 date.year, date.month, date.day, sequence);
    id.push_back(resident_check(id));
    return id;
}

std::string phone_number(std::uint64_t number) {
    return fmt::format("+86 100 {:04} {:04}", number / 10000 % 10000, number % 10000);
}

}  // namespace meridian::generate
